/* Aggregations: what is known of many samples in a few words. */
#ifndef WHAMM_AGGS_H
#define WHAMM_AGGS_H

#include <stdint.h>

#include "heap.h"

enum { HIST, MIN, MAX, AVG, STATS, QUANTIZE, LHIST };
enum { POWERS = 64, SIGNED_POWERS = 128, ZERO = 64 };

/* `value` is the smallest, the largest or the sum.  Of a histogram `size` buckets follow: those of HIST
 * count samples up to 0 and from 2^(i-1) on, those of QUANTIZE from -2^(63-i) down, 0, and from
 * 2^(i-65) on, those of LHIST below `low`, each `step` from there, and from `high` on. */
typedef struct {
    uint32_t kind, dirty;
    uint64_t count;
    int64_t value, low, high, step;
    uint32_t size, unused;
    uint64_t buckets[];
} Agg;

static Agg *agg_room(uint32_t kind, uint32_t size) {
    uint32_t bytes = (uint32_t)sizeof(Agg) + 8 * size;
    Agg *agg = (Agg *)obtain_own(bytes);
    if (!agg) return 0;
    __builtin_memset(agg, 0, bytes);
    agg->kind = kind;
    agg->size = size;
    return agg;
}

static Agg *agg_make(uint32_t kind) {
    return agg_room(kind, kind == HIST ? POWERS : kind == QUANTIZE ? SIGNED_POWERS : 0);
}

static Agg *lhist_make(int64_t low, int64_t high, int64_t step) {
    uint64_t width = (uint64_t)high - (uint64_t)low, each = (uint64_t)step;
    Agg *agg = agg_room(LHIST, (uint32_t)((width + each - 1) / each) + 2);
    if (!agg) return 0;
    agg->low = low;
    agg->high = high;
    agg->step = step;
    return agg;
}

static void agg_empty(Agg *agg) {
    agg->dirty = 1;
    agg->count = 0;
    agg->value = 0;
    __builtin_memset(agg->buckets, 0, 8 * agg->size);
}

static uint32_t power_of(uint64_t magnitude) { return 63 - (uint32_t)__builtin_clzll(magnitude); }

static uint32_t bucket_of(const Agg *agg, int64_t sample) {
    if (agg->kind == HIST) return sample <= 0 ? 0 : 1 + power_of((uint64_t)sample);
    if (agg->kind == QUANTIZE) {
        if (!sample) return ZERO;
        return sample > 0 ? ZERO + 1 + power_of((uint64_t)sample) : ZERO - 1 - power_of(-(uint64_t)sample);
    }
    if (sample < agg->low) return 0;
    if (sample >= agg->high) return agg->size - 1;
    return 1 + (uint32_t)(((uint64_t)sample - (uint64_t)agg->low) / (uint64_t)agg->step);
}

/* The least sample that a bucket counts; of those that are powers the one nearest to 0. */
static int64_t bucket_low(const Agg *agg, uint32_t i) {
    if (agg->kind == HIST) return i ? (int64_t)1 << (i - 1) : 0;
    if (agg->kind == QUANTIZE) {
        if (i == ZERO) return 0;
        uint64_t power = (uint64_t)1 << (i > ZERO ? i - ZERO - 1 : ZERO - 1 - i);
        return (int64_t)(i > ZERO ? power : -power);
    }
    if (!i) return INT64_MIN;
    if (i == agg->size - 1) return agg->high;
    return (int64_t)((uint64_t)agg->low + (uint64_t)(i - 1) * (uint64_t)agg->step);
}

static void agg_put(Agg *agg, int64_t sample) {
    int64_t value = agg->value;
    agg->dirty = 1;
    switch (agg->kind) {
    case MIN:
        agg->value = agg->count && value < sample ? value : sample;
        break;
    case MAX:
        agg->value = agg->count && value > sample ? value : sample;
        break;
    case AVG:
    case STATS:
        agg->value = (int64_t)((uint64_t)value + (uint64_t)sample);
        break;
    default:
        agg->buckets[bucket_of(agg, sample)]++;
    }
    agg->count++;
}

static int is_hist(uint32_t kind) { return kind == HIST || kind >= QUANTIZE; }

/* Buckets that hold something. */
static uint32_t hist_size(const Agg *agg) {
    uint32_t count = 0;
    for (uint32_t i = 0; agg && i < agg->size; i++) count += agg->buckets[i] != 0;
    return count;
}

/* The first `count` of them as tuples of 64 bits each: the least sample, how many. */
static void hist_buckets(const Agg *agg, uint32_t count, uint8_t *out) {
    for (uint32_t i = 0; count; i++) {
        uint64_t pair[2] = {(uint64_t)bucket_low(agg, i), agg->buckets[i]};
        if (!pair[1]) continue;
        __builtin_memcpy(out, pair, 16);
        out += 16;
        count--;
    }
}

/* list<tuple<_, u64>> (8 bytes), option<s64> or tuple<u64, s64> (16). */
static void agg_image(const Agg *agg, uint32_t kind, uint8_t *image) {
    uint64_t words[2] = {0, agg ? (uint64_t)agg->value : 0};
    if (is_hist(kind)) words[0] = (uint64_t)hist_size(agg) << 32;
    if (agg && (kind == AVG || kind == STATS)) words[0] = agg->count;
    if (agg && (kind == MIN || kind == MAX)) words[0] = agg->count != 0;
    __builtin_memcpy(image, words, is_hist(kind) ? 8 : 16);
}

#endif
