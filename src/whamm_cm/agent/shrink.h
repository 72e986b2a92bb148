/* Deleting and clearing, and loops that go through a map meanwhile.
 *
 * `desc` describes the values (describe.h) where they hold maps or aggregations, which go with them; it
 * is NULL where they do not.
 */
#ifndef WHAMM_SHRINK_H
#define WHAMM_SHRINK_H

#include "describe.h"

static void clear(Map *map, const uint8_t *desc);

/* An inner map or aggregation whose entry is gone. */
static void free_inner(uint32_t id, uint32_t kind, const uint8_t *value) {
    if (!id) return;
    if (kind == MAP) {
        Map *map = (Map *)id;
        clear(map, value);
        if (map->loops) {
            map->orphan = 1;
            return;
        }
        if (map->index.slots != no_slots)
            release((uint32_t)map->index.slots, heap_class((map->index.mask + 1) * sizeof(Slot)));
        map->index = (Index){.slots = no_slots};
    }
    release_soon(id);
}

static void free_values(const uint8_t **desc, const uint64_t **slot) {
    for (uint32_t n = *(*desc)++; n; n--) {
        uint32_t kind = *(*desc)++;
        const uint8_t *value = 0;
        if (kind == TUPLE) {
            free_values(desc, slot);
            continue;
        }
        if (kind == MAP) {
            shape_of(desc);
            value = *desc;
            shape_of(desc);
        }
        if (kind == MAP || kind >= AGG) free_inner(low(**slot), kind, value);
        ++*slot;
    }
}

static void free_entry(Map *map, Entry *entry, const uint8_t *desc) {
    const uint64_t *slot = (const uint64_t *)value_of(map, entry);
    free_texts(map, entry->key);
    if (desc) free_values(&desc, &slot);
    entry->dirty = GONE;
    map->gone++;
    map->shrunk |= map->told;
}

static void drop_slabs(Map *map) {
    free_slabs(map->first);
    map->first = map->last = 0;
    map->gone = 0;
}

static void clear(Map *map, const uint8_t *desc) {
    Walk walk = walk_from(map);
    for (Entry *entry; (entry = walk_at(map, &walk)); walk_on(map, &walk)) free_entry(map, entry, desc);
    if (map->index.size) __builtin_memset(map->index.slots, 0, (map->index.mask + 1) * sizeof(Slot));
    map->index.size = 0;
    if (!map->loops) drop_slabs(map);
}

EXPORT(map_clear) void map_clear(uint32_t id, const uint8_t *desc) {
    if (id) clear((Map *)id, desc);
}

/* The key is where `map_get` has it. */
EXPORT(map_delete) void map_delete(uint32_t id, const uint8_t *desc) {
    Map *map = (Map *)id;
    if (!map) return;
    const uint64_t *key = (const uint64_t *)KEY;
    uint32_t hash = hash_key(map, key);
    Entry *entry = map_find(map, key, hash);
    if (!entry) return;
    index_remove(&map->index, hash, (uint32_t)entry);
    free_entry(map, entry, desc);
}

/* --- aggregations ----------------------------------------------------------------------------- */

EXPORT(lhist_new) uint32_t lhist_new(int64_t low, int64_t high, int64_t step) {
    Agg *agg = lhist_make(low, high, step);
    if (!agg) drop();
    return (uint32_t)agg;
}

EXPORT(agg_clear) void agg_clear(uint32_t id) {
    if (id) agg_empty((Agg *)id);
}

/* --- loops ------------------------------------------------------------------------------------ */

/* `end`: the last slab when the loop began, and where it ended; entries behind are not gone through. */
typedef struct {
    Map *map;
    Walk walk;
    Slab *last;
    uint32_t end;
} Loop;

EXPORT(loop_new) uint32_t loop_new(uint32_t id) {
    Map *map = (Map *)id;
    if (!map || !map->last) return 0;
    Loop *loop = (Loop *)obtain(heap_class(sizeof(Loop)));
    if (!loop) {
        drop();
        return 0;
    }
    map->loops++;
    *loop = (Loop){map, walk_from(map), map->last, map->last->end};
    return (uint32_t)loop;
}

/* The key of the next entry, which its value is behind; 0 for no more. */
EXPORT(loop_next) uint32_t loop_next(uint32_t at) {
    Loop *loop = (Loop *)at;
    if (!loop) return 0;
    Walk *walk = &loop->walk;
    while (walk->slab != loop->last || (uint32_t)walk->entry < loop->end) {
        Entry *entry = walk->entry;
        if ((uint32_t)entry >= walk->slab->end) {
            walk->slab = walk->slab->next;
            walk->entry = (Entry *)(walk->slab + 1);
            continue;
        }
        walk_on(loop->map, walk);
        if (entry->dirty != GONE) return (uint32_t)entry->key;
    }
    return 0;
}

EXPORT(loop_end) void loop_end(uint32_t at) {
    Loop *loop = (Loop *)at;
    if (!loop) return;
    Map *map = loop->map;
    if (!--map->loops && !map->index.size) drop_slabs(map);
    if (!map->loops && map->orphan) release_soon((uint32_t)map);
    release(at, heap_class(sizeof(Loop)));
}

#endif
