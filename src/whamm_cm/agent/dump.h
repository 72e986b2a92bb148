/* Maps printed by a script: sorted by key, as whamm_core prints them. */
#ifndef WHAMM_DUMP_H
#define WHAMM_DUMP_H

#include "describe.h"
#ifdef MAPS
#include "order.h"
#endif
#include "print.h"

/* A number as whamm shows it, for it keeps u32 as i32. */
static int64_t number_of(uint32_t kind, uint64_t word) {
    return kind == U32 ? (int32_t)word : (int64_t)word;
}

static int compare_strings(uint64_t a, uint64_t b) {
    uint32_t n = high(a) < high(b) ? high(a) : high(b);
    for (uint32_t i = 0; i < n; i++) {
        int32_t d = *(uint8_t *)(low(a) + i) - *(uint8_t *)(low(b) + i);
        if (d) return d;
    }
    return high(a) < high(b) ? -1 : high(a) > high(b);
}

/* Compares keys slot by slot; `desc` is that of a scalar or of a tuple, in any depth. */
static int compare_keys(const uint8_t **desc, const uint64_t **a, const uint64_t **b) {
    int order = 0;
    for (uint32_t n = *(*desc)++; n; n--) {
        uint32_t kind = *(*desc)++;
        int found;
        if (kind == TUPLE) {
            found = compare_keys(desc, a, b);
        } else {
            uint64_t x = *(*a)++, y = *(*b)++;
            uint64_t bias = kind == U64 ? (uint64_t)1 << 63 : 0;
            int64_t p = number_of(kind, x ^ bias), q = number_of(kind, y ^ bias);
            found = kind == STRING ? compare_strings(x, y) : p < q ? -1 : p > q;
        }
        if (!order) order = found;
    }
    return order;
}

/* How entries are sorted: by key as whamm does, or `plain`; then first the largest values, if those
 * have a description here. */
typedef struct {
    const uint8_t *key, *value;
    int plain;
} Order;

static int before(const Order *order, const Entry *a, const Entry *b) {
    const uint64_t *x = a->key, *y = b->key;
    const uint8_t *key = order->key, *value = order->value;
#ifdef MAPS
    int keys = order->plain ? compare_plain(&key, &x, &y) : compare_keys(&key, &x, &y);
    int values = value ? compare_plain(&value, &x, &y) : 0; /* which lie behind */
    return values ? values > 0 : keys < 0;
#else
    return value == 0 && compare_keys(&key, &x, &y) < 0;
#endif
}

static void sift(const Order *order, Entry **heap_of, uint32_t root, uint32_t count) {
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && before(order, heap_of[child], heap_of[child + 1])) child++;
        if (!before(order, heap_of[root], heap_of[child])) return;
        Entry *moved = heap_of[root];
        heap_of[root] = heap_of[child];
        heap_of[child] = moved;
    }
}

/* The entries in order, in a block of that class; NULL when there is no memory for it. */
static Entry **sorted(const Map *map, const Order *order, uint32_t class) {
    uint32_t count = map->index.size, n = 0;
    Entry **found = (Entry **)obtain(class);
    if (!found) return 0;
    Walk walk = walk_from(map);
    for (Entry *entry; (entry = walk_at(map, &walk)); walk_on(map, &walk)) found[n++] = entry;
    for (uint32_t i = count / 2; i-- > 0;) sift(order, found, i, count);
    for (uint32_t end = count; end-- > 1;) {
        Entry *last = found[end];
        found[end] = found[0];
        found[0] = last;
        sift(order, found, 0, end);
    }
    return found;
}

static void print_items(Cursor *in);

static void print_item(Cursor *in) {
    uint32_t kind = *in->desc++;
    if (kind == TUPLE) {
        print_items(in);
        return;
    }
    uint64_t word = *in->slot++;
    float single;
    double number;
    __builtin_memcpy(&single, &word, 4);
    __builtin_memcpy(&number, &word, 8);
    if (kind == STRING)
        print_str((const char *)low(word), high(word));
    else if (kind == BOOL)
        print_bool((int32_t)word);
    else if (kind == F32)
        print_exponential(of_single(single));
    else if (kind == F64)
        print_exponential(of_double(number));
    else if (kind == U64)
        print_u64(word);
    else if (kind <= CHAR)
        print_i64(number_of(kind, word));
    else if (kind == MAP)
        inner_pair(&in->desc), print_str("map", 3);
    else
        print_str("aggregation", 11);
}

static void print_items(Cursor *in) {
    uint32_t n = *in->desc++;
    int tuple = n != 1;
    if (tuple) print_str("(", 1);
    for (uint32_t i = 0; i < n; i++) {
        if (i) print_str(",", 1);
        print_item(in);
    }
    if (tuple) print_str(")", 1);
}

/* `k->v;k->v`, or with `rows` a line `k, v` for each; `empty map` without entries. */
EXPORT(print_map)
void print_map(uint32_t site, uint32_t id, const uint8_t *key, const uint8_t *value, int32_t rows) {
    const Map *map = (const Map *)id;
    uint32_t count = map ? map->index.size : 0, class = heap_class(4 * count);
    Order order = {key, 0, 0};
    Entry **entries = count ? sorted(map, &order, class) : 0;
    if (count && !entries) {
        drop();
        return;
    }
    print_begin(site);
    if (!count) print_str("empty map", 9);
    for (uint32_t i = 0; i < count; i++) {
        if (print.at - TEXT > AREA / 2) {
            print_end_raw();
            print_begin(site);
        }
        Cursor k = {key, entries[i]->key, 0, 0};
        Cursor v = {value, (const uint64_t *)value_of(map, entries[i]), 0, 0};
        if (i && !rows) print_str(";", 1);
        print_items(&k);
        print_str(rows ? ", " : "->", 2);
        print_items(&v);
        if (rows) print_str("\n", 1);
    }
    print_end_raw();
    if (entries) release((uint32_t)entries, class);
}

#endif
