/* Aggregations: what is known of many samples in a few words. */
#ifndef WHAMM_AGGS_H
#define WHAMM_AGGS_H

#include <stdint.h>

#include "heap.h"

enum { HIST, MIN, MAX, AVG, BUCKETS = 64 };

/* `value` is the smallest, the largest or the sum; `buckets` are a histogram's alone: the first counts
 * samples up to 0, number i those from 2^(i-1) on. */
typedef struct {
    uint32_t kind, dirty;
    uint64_t count;
    int64_t value;
    uint64_t buckets[];
} Agg;

static uint32_t agg_size(uint32_t kind) {
    return (uint32_t)sizeof(Agg) + (kind == HIST ? BUCKETS * 8 : 0);
}

static Agg *agg_make(uint32_t kind) {
    uint32_t size = agg_size(kind);
    Agg *agg = (Agg *)obtain_own(size);
    if (!agg) return 0;
    __builtin_memset(agg, 0, size);
    agg->kind = kind;
    return agg;
}

static void agg_empty(Agg *agg) {
    uint32_t kind = agg->kind;
    __builtin_memset(agg, 0, agg_size(kind));
    agg->kind = kind;
    agg->dirty = 1;
}

static void agg_put(Agg *agg, int64_t sample) {
    int64_t value = agg->value;
    agg->dirty = 1;
    switch (agg->kind) {
    case HIST:
        agg->buckets[sample <= 0 ? 0 : 64 - __builtin_clzll((uint64_t)sample)]++;
        break;
    case MIN:
        agg->value = agg->count && value < sample ? value : sample;
        break;
    case MAX:
        agg->value = agg->count && value > sample ? value : sample;
        break;
    default:
        agg->value = (int64_t)((uint64_t)value + (uint64_t)sample);
    }
    agg->count++;
}

/* Buckets that hold something. */
static uint32_t hist_size(const Agg *agg) {
    uint32_t count = 0;
    for (uint32_t i = 0; agg && i < BUCKETS; i++) count += agg->buckets[i] != 0;
    return count;
}

/* The first `count` of them as tuple<u64, u64>: the least sample, how many. */
static void hist_buckets(const Agg *agg, uint32_t count, uint8_t *out) {
    for (uint32_t i = 0; count; i++) {
        uint64_t pair[2] = {i ? (uint64_t)1 << (i - 1) : 0, agg->buckets[i]};
        if (!pair[1]) continue;
        __builtin_memcpy(out, pair, 16);
        out += 16;
        count--;
    }
}

/* list<tuple<u64, u64>> (8 bytes), option<s64> or tuple<u64, s64> (16). */
static void agg_image(const Agg *agg, uint32_t kind, uint8_t *image) {
    uint64_t words[2] = {0, agg ? (uint64_t)agg->value : 0};
    if (kind == HIST) words[0] = (uint64_t)hist_size(agg) << 32;
    if (agg && kind == AVG) words[0] = agg->count;
    if (agg && (kind == MIN || kind == MAX)) words[0] = agg->count != 0;
    __builtin_memcpy(image, words, kind == HIST ? 8 : 16);
}

#endif
