/* Maps and aggregations as values of WIT types, by descriptors that name the fields of key and value.
 *
 * descriptor = n item*          the items are the fields of a tuple; one alone is the value itself
 * item = NodeKind BOOL..CHAR, STRING | TUPLE n item* | MAP descriptor descriptor | AGG + kind
 *
 * Keys and values of a map are slots of 8 bytes in the order of the items.  Their images have the
 * layout of the canonical ABI; what has no fixed size (strings, inner maps, histograms) follows in
 * the tail, in the order in which the decoder takes it.
 */
#ifndef WHAMM_DESCRIBE_H
#define WHAMM_DESCRIBE_H

#include "aggs.h"
#include "maps.h"

enum { BOOL, U32 = 6, U64 = 8, F32 = 9, F64 = 10, CHAR = 11, STRING = 12, MAP = 15, TUPLE = 17, AGG = 64 };

typedef struct {
    uint32_t size, align;
} Shape;
/* What is left to describe, the slots it lies in, and where a tail goes, which ends at `end`. */
typedef struct {
    const uint8_t *desc;
    const uint64_t *slot;
    uint8_t *at, *end;
} Cursor;

static const uint8_t scalar_sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4};

static Shape shape_of(const uint8_t **desc);

static Shape item_shape(const uint8_t **desc) {
    uint32_t kind = *(*desc)++;
    if (kind <= CHAR) return (Shape){scalar_sizes[kind], scalar_sizes[kind]};
    if (kind >= AGG && !is_hist(kind - AGG)) return (Shape){16, 8};
    if (kind == TUPLE) return shape_of(desc);
    if (kind == MAP) shape_of(desc), shape_of(desc);
    return (Shape){8, 4};
}

static uint32_t aligned(uint32_t at, uint32_t align) { return (at + align - 1) & -align; }

static Shape shape_of(const uint8_t **desc) {
    Shape whole = {0, 1};
    for (uint32_t n = *(*desc)++; n; n--) {
        Shape part = item_shape(desc);
        whole.size = aligned(whole.size, part.align) + part.size;
        if (part.align > whole.align) whole.align = part.align;
    }
    whole.size = aligned(whole.size, whole.align);
    return whole;
}

/* Entries of a map with descriptors of its key and its value. */
typedef struct {
    const uint8_t *key, *value;
    uint32_t key_size, value_at, size;
} Pair;

static Pair pair_of(const uint8_t *key, const uint8_t *value) {
    const uint8_t *k = key, *v = value;
    Shape first = shape_of(&k), second = shape_of(&v);
    uint32_t at = aligned(first.size, second.align);
    uint32_t align = first.align > second.align ? first.align : second.align;
    return (Pair){key, value, first.size, at, aligned(at + second.size, align)};
}

static Pair inner_pair(const uint8_t **desc) {
    const uint8_t *key = *desc;
    shape_of(desc);
    const uint8_t *value = *desc;
    shape_of(desc);
    return pair_of(key, value);
}

static void put_images(Cursor *in, uint8_t *image);

static void put_image(Cursor *in, uint8_t *image) {
    uint32_t kind = *in->desc++;
    if (kind == TUPLE) {
        put_images(in, image);
        return;
    }
    uint64_t word = *in->slot++;
    if (kind <= CHAR) {
        __builtin_memcpy(image, &word, scalar_sizes[kind]);
    } else if (kind >= AGG) {
        agg_image((const Agg *)low(word), kind - AGG, image);
    } else {
        uint32_t count = high(word);
        if (kind == MAP) {
            inner_pair(&in->desc);
            count = low(word) ? ((const Map *)low(word))->index.size : 0;
        }
        word = (uint64_t)count << 32;
        __builtin_memcpy(image, &word, 8);
    }
}

/* The parts of a tuple, or the one value that stands for itself. */
static void put_images(Cursor *in, uint8_t *image) {
    uint32_t at = 0;
    for (uint32_t n = *in->desc++; n; n--) {
        const uint8_t *desc = in->desc;
        Shape part = item_shape(&desc);
        at = aligned(at, part.align);
        put_image(in, image + at);
        at += part.size;
    }
}

/* Bytes that the tails of the items take. */
static uint32_t tails_size(Cursor *in) {
    uint32_t total = 0;
    for (uint32_t n = *in->desc++; n && total < MAX_BODY; n--) {
        uint32_t kind = *in->desc++;
        if (kind == TUPLE) {
            total += tails_size(in);
            continue;
        }
        uint64_t word = *in->slot++;
        if (kind == STRING) total += 4 + (high(word) < MAX_BODY ? high(word) : MAX_BODY);
        if (kind >= AGG && is_hist(kind - AGG)) total += 4 + 16 * hist_size((const Agg *)low(word));
        if (kind != MAP) continue;
        Pair pair = inner_pair(&in->desc);
        const Map *map = (const Map *)low(word);
        Walk walk = map ? walk_from(map) : (Walk){0, 0};
        total += 4;
        for (Entry *e; total < MAX_BODY && (e = walk_at(map, &walk)); walk_on(map, &walk)) {
            Cursor key = {pair.key, e->key, 0, 0};
            Cursor value = {pair.value, (const uint64_t *)value_of(map, e), 0, 0};
            total += pair.size + tails_size(&key) + tails_size(&value);
        }
    }
    return total;
}

static uint32_t put_entries(const Map *map, Walk *walk, int all, const Pair *pair, Cursor *out);

static void put_kept(Cursor *out, uint32_t kept) {
    __builtin_memcpy(out->at, &kept, 4);
    out->at += 4;
}

static void put_tail(Cursor *in, uint32_t kind, uint64_t word) {
    if (in->end - in->at < 4 || (kind != STRING && kind != MAP && !(kind >= AGG && is_hist(kind - AGG)))) {
        if (kind == MAP) inner_pair(&in->desc);
        return;
    }
    uint32_t left = (uint32_t)(in->end - in->at) - 4;
    if (kind == STRING) {
        uint32_t kept = high(word) < left ? high(word) : left;
        put_kept(in, kept);
        __builtin_memcpy(in->at, (void *)low(word), kept);
        in->at += kept;
    } else if (kind == MAP) {
        Pair pair = inner_pair(&in->desc);
        const Map *map = (const Map *)low(word);
        Walk walk = map ? walk_from(map) : (Walk){0, 0};
        put_entries(map, &walk, 1, &pair, in);
    } else {
        const Agg *agg = (const Agg *)low(word);
        uint32_t size = hist_size(agg), kept = size < left / 16 ? size : left / 16;
        put_kept(in, kept);
        hist_buckets(agg, kept, in->at);
        in->at += 16 * kept;
    }
}

static void put_tails(Cursor *in) {
    for (uint32_t n = *in->desc++; n; n--) {
        uint32_t kind = *in->desc++;
        if (kind == TUPLE)
            put_tails(in);
        else
            put_tail(in, kind, *in->slot++);
    }
}

/* How many entries from `walk` on fit, the first even if it has to be cut. */
static uint32_t fitting(const Map *map, Walk walk, int all, const Pair *pair, uint32_t left) {
    uint32_t count = 0, used = 4;
    for (Entry *e; (e = walk_at(map, &walk)); walk_on(map, &walk)) {
        if (!all && !e->dirty) continue;
        Cursor key = {pair->key, e->key, 0, 0};
        Cursor value = {pair->value, (const uint64_t *)value_of(map, e), 0, 0};
        used += pair->size + tails_size(&key) + tails_size(&value);
        if (used > left && (count || pair->size + 4 > left)) return count;
        count++;
    }
    return count;
}

/* The length, images and tails of the entries that fit; all, or those that are dirty.  `walk` stands
 * behind them in the end. */
static uint32_t put_entries(const Map *map, Walk *walk, int all, const Pair *pair, Cursor *out) {
    uint32_t count = map ? fitting(map, *walk, all, pair, (uint32_t)(out->end - out->at)) : 0;
    uint8_t *image = out->at + 4;
    Walk again = *walk;
    put_kept(out, count);
    out->at += count * pair->size;
    __builtin_memset(image, 0, (uint32_t)(out->at - image));
    for (uint32_t i = 0; i < count; walk_on(map, walk)) {
        Entry *e = walk_at(map, walk);
        if (!all && !e->dirty) continue;
        Cursor key = {pair->key, e->key, 0, 0};
        Cursor value = {pair->value, (const uint64_t *)value_of(map, e), 0, 0};
        put_images(&key, image + i * pair->size);
        put_images(&value, image + i * pair->size + pair->value_at);
        i++;
    }
    for (uint32_t i = 0; i < count; walk_on(map, &again)) {
        Entry *e = walk_at(map, &again);
        if (!all && !e->dirty) continue;
        Cursor key = {pair->key, e->key, out->at, out->end};
        put_tails(&key);
        Cursor value = {pair->value, (const uint64_t *)value_of(map, e), key.at, out->end};
        put_tails(&value);
        out->at = value.at;
        i++;
    }
    return count;
}

#endif
