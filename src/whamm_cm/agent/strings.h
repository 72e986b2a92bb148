/* What scripts do with strings besides comparing them: built with -DTEXTS only.  Parts of a string lie
 * where it lies; what is no part is made in the ring.  Everything counts in bytes, and only ASCII has
 * blanks, cases and digits.  lang/strings.py says the same of what is known before. */
#ifndef WHAMM_STRINGS_H
#define WHAMM_STRINGS_H

#include "format.h"

static uint32_t found_in(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    for (uint32_t at = p; m <= n; at++, n--)
        if (same_bytes(at, q, m)) return at - p;
    return (uint32_t)-1;
}

EXPORT(str_find) int32_t str_find(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    return (int32_t)found_in(p, n, q, m);
}

/* A position from the start, or from the end if it is negative. */
static uint32_t position(int32_t at, uint32_t n) {
    if (at < 0) return (uint32_t)-at < n ? n - (uint32_t)-at : 0;
    return (uint32_t)at < n ? (uint32_t)at : n;
}

EXPORT(str_slice) uint64_t str_slice(uint32_t p, uint32_t n, int32_t from, int32_t to) {
    uint32_t start = position(from, n), end = position(to, n);
    return span(p + start, start < end ? end - start : 0);
}

/* Piece `i` of those between separators, from the end if it is negative; empty where there is none. */
EXPORT(str_split) uint64_t str_split(uint32_t p, uint32_t n, uint32_t q, uint32_t m, int32_t i) {
    int32_t count = 1;
    uint32_t at, end = p + n;
    if (!m) return i == 0 || i == -1 ? span(p, n) : 0;
    if (i < 0) {
        for (uint32_t s = p; (at = found_in(s, end - s, q, m)) != (uint32_t)-1; s += at + m) count++;
        i += count;
        if (i < 0) return 0;
    }
    for (; (at = found_in(p, end - p, q, m)) != (uint32_t)-1; p += at + m)
        if (!i--) return span(p, at);
    return i ? 0 : span(p, end - p);
}

static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

EXPORT(str_trim) uint64_t str_trim(const char *p, uint32_t n) {
    while (n && is_blank(*p)) p++, n--;
    while (n && is_blank(p[n - 1])) n--;
    return span((uint32_t)p, n);
}

static uint64_t with_case(const char *p, uint32_t n, char first) {
    if (n > MAX_TMP) n = whole_characters(p, MAX_TMP);
    char *to = (char *)tmp(n);
    for (uint32_t i = 0; i < n; i++) to[i] = (uint8_t)(p[i] - first) < 26 ? p[i] ^ 0x20 : p[i];
    return span((uint32_t)to, n);
}
EXPORT(str_lower) uint64_t str_lower(const char *p, uint32_t n) { return with_case(p, n, 'A'); }
EXPORT(str_upper) uint64_t str_upper(const char *p, uint32_t n) { return with_case(p, n, 'a'); }

/* By a table of lang/regex.py: how many kinds of bytes, states and the first, the kind of each byte,
 * which states a string may end in, and where they lead, kind by kind. */
EXPORT(str_matches) int32_t str_matches(const uint8_t *p, uint32_t n, const uint8_t *table) {
    const uint8_t *kinds = table + 5, *final = kinds + 256;
    const uint8_t *next = final + (table[1] | (uint32_t)table[2] << 7);
    uint32_t state = table[3] | (uint32_t)table[4] << 7;
    for (; n && state > 1; p++, n--) {
        const uint8_t *to = next + 2 * (state * table[0] + kinds[*p]);
        state = to[0] | (uint32_t)to[1] << 7;
    }
    return final[state];
}

static uint32_t digit_of(char c) {
    if (c >= '0' && c <= '9') return (uint32_t)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;
}

/* The number a string begins with, blanks before it aside; the nearest i64 if it is none. */
EXPORT(str_to_int) int64_t str_to_int(const char *p, uint32_t n) {
    while (n && is_blank(*p)) p++, n--;
    int negative = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) p++, n--;
    uint32_t base = n > 2 && *p == '0' && (p[1] | 0x20) == 'x' && digit_of(p[2]) < 16 ? 16 : 10;
    if (base == 16) p += 2, n -= 2;
    uint64_t value = 0, most = (uint64_t)INT64_MAX + (uint64_t)negative;
    for (uint32_t digit; n && (digit = digit_of(*p)) < base; p++, n--)
        value = value > (most - digit) / base ? most : value * base + digit;
    return (int64_t)(negative ? -value : value);
}

#endif
