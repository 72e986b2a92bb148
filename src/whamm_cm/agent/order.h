/* Values in the order in which people expect them: numbers by size, strings by their bytes, means exactly.
 */
#ifndef WHAMM_ORDER_H
#define WHAMM_ORDER_H

#include "describe.h"

static int compare_strings(uint64_t a, uint64_t b);

static int compare_floats(double a, double b) { return a < b ? -1 : a > b; }

/* Quotients of integers, exactly: by their whole parts, then what is left of them upside down. */
static int compare_means(const Agg *a, const Agg *b) {
    int64_t p = a && a->count ? a->value : 0, q = b && b->count ? b->value : 0;
    int64_t m = a && a->count ? (int64_t)a->count : 1, n = b && b->count ? (int64_t)b->count : 1;
    for (int sign = 1;; sign = -sign) {
        int64_t whole = p / m - (p % m < 0), other = q / n - (q % n < 0);
        if (whole != other) return whole < other ? -sign : sign;
        int64_t rest = p % m + (p % m < 0 ? m : 0), left = q % n + (q % n < 0 ? n : 0);
        if (!rest || !left) return sign * ((rest != 0) - (left != 0));
        p = m, m = rest, q = n, n = left;
    }
}

static int compare_aggs(const Agg *a, const Agg *b, uint32_t kind) {
    if (kind == AVG) return compare_means(a, b);
    uint64_t m = a ? a->count : 0, n = b ? b->count : 0;
    if (kind != STATS && (!m || !n)) return (m != 0) - (n != 0);
    int64_t p = m ? a->value : 0, q = n ? b->value : 0;
    return p < q ? -1 : p > q;
}

static int compare_words(uint32_t kind, uint64_t x, uint64_t y) {
    float f, g;
    double d, e;
    if (kind == STRING) return compare_strings(x, y);
    if (kind >= AGG) return compare_aggs((const Agg *)low(x), (const Agg *)low(y), kind - AGG);
    if (kind == U64) return x < y ? -1 : x > y;
    if (kind == F32) {
        __builtin_memcpy(&f, &x, 4);
        __builtin_memcpy(&g, &y, 4);
        return compare_floats(f, g);
    }
    if (kind == F64) {
        __builtin_memcpy(&d, &x, 8);
        __builtin_memcpy(&e, &y, 8);
        return compare_floats(d, e);
    }
    return (int64_t)x < (int64_t)y ? -1 : (int64_t)x > (int64_t)y;
}

static int compare_plain(const uint8_t **desc, const uint64_t **a, const uint64_t **b) {
    int order = 0;
    for (uint32_t n = *(*desc)++; n; n--) {
        uint32_t kind = *(*desc)++;
        int found = kind == TUPLE ? compare_plain(desc, a, b) : compare_words(kind, *(*a)++, *(*b)++);
        if (!order) order = found;
    }
    return order;
}

#endif
