/* Maps with keys of a fixed number of 8-byte fields, and the set of strings that live for ever.
 *
 * Entries lie in slabs in the order in which they came.  One that is deleted stays where it is until
 * there would be no room for the next: then the others move up, unless a loop goes through the map.  So
 * an address handed out is good until the next entry is made.  An id is the map's address, 0 one that
 * could not be made.
 */
#ifndef WHAMM_MAPS_H
#define WHAMM_MAPS_H

#include <stdint.h>

#include "heap.h"

enum { FIRST_SLOTS = 16, FIRST_SLAB = 10, LAST_SLAB = 16, TEXT_SLAB = 14 };

typedef struct {
    uint32_t hash, at;
} Slot;
typedef struct {
    Slot *slots;
    uint32_t mask, size;
} Index;
/* `dirty`: asked for since it was last reported, or GONE.  The value follows the key. */
enum { GONE = 2 };
typedef struct {
    uint32_t hash, dirty;
    uint64_t key[];
} Entry;
typedef struct Slab {
    struct Slab *next;
    uint32_t end, class, unused;
} Slab;
/* `gone` entries are still in slabs; `loops` go through it.  `told`: something was reported, `shrunk`:
 * and some of that is no more.  `orphan`: it is to be given back with its last loop. */
typedef struct {
    Index index;
    uint32_t fields, strings, value_size, entry_size, slab_class, slab_end;
    Slab *first, *last;
    uint32_t gone, loops, told, shrunk, orphan;
} Map;

/* What an index begins with: a slot that stays empty. */
static Slot no_slots[1];
static Index interned = {.slots = no_slots};
static uint32_t text_at, text_end;
static uint32_t static_end; /* strings below it are the script's own constants */

static uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

static uint64_t hash_bytes(uint64_t hash, uint32_t p, uint32_t size) {
    uint64_t word = 0;
    hash = mixed(hash, size);
    for (; size >= 8; p += 8, size -= 8) {
        __builtin_memcpy(&word, (void *)p, 8);
        hash = mixed(hash, word);
    }
    for (word = 0; size; size--) word = word << 8 | *(uint8_t *)(p + size - 1);
    return mixed(hash, word);
}

static int same_bytes(uint32_t p, uint32_t q, uint32_t size) {
    if (p == q) return 1;
    for (; size >= 8; p += 8, q += 8, size -= 8) {
        uint64_t a, b;
        __builtin_memcpy(&a, (void *)p, 8);
        __builtin_memcpy(&b, (void *)q, 8);
        if (a != b) return 0;
    }
    for (; size; p++, q++, size--)
        if (*(uint8_t *)p != *(uint8_t *)q) return 0;
    return 1;
}

/* Doubles the slots when three quarters are taken; 0 when there must be room and is none. */
static int index_has_room(Index *index) {
    uint32_t old = index->slots != no_slots ? index->mask + 1 : 0;
    if (index->size < old - old / 4) return 1;
    uint32_t count = old ? 2 * old : FIRST_SLOTS, class = heap_class(count * sizeof(Slot));
    Slot *slots = (Slot *)obtain(class);
    if (!slots) return index->size + 1 < old;
    __builtin_memset(slots, 0, count * sizeof(Slot));
    for (uint32_t i = 0; i < old; i++) {
        if (!index->slots[i].at) continue;
        uint32_t j = index->slots[i].hash & (count - 1);
        while (slots[j].at) j = (j + 1) & (count - 1);
        slots[j] = index->slots[i];
    }
    if (old) release((uint32_t)index->slots, heap_class(old * sizeof(Slot)));
    index->slots = slots;
    index->mask = count - 1;
    return 1;
}

static void index_remove(Index *index, uint32_t hash, uint32_t at) {
    Slot *slots = index->slots;
    uint32_t mask = index->mask, i = hash & mask;
    while (slots[i].at != at) i = (i + 1) & mask;
    /* What was put behind for want of room moves up, so that no search ends too early. */
    for (uint32_t j = (i + 1) & mask; slots[j].at; j = (j + 1) & mask) {
        if (((j - slots[j].hash) & mask) < ((j - i) & mask)) continue;
        slots[i] = slots[j];
        i = j;
    }
    slots[i] = (Slot){0, 0};
    index->size--;
}

static void index_add(Index *index, uint32_t hash, uint32_t at) {
    uint32_t i = hash & index->mask;
    while (index->slots[i].at) i = (i + 1) & index->mask;
    index->slots[i] = (Slot){hash, at};
    index->size++;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Room for a length and that many bytes behind it. */
static uint32_t text_room(uint32_t size) {
    uint32_t need = (size + 4 + 3) & ~3u;
    if (need > (1 << TEXT_SLAB) / 4) return obtain(heap_class(need));
    if (need > text_end - text_at) {
        uint32_t slab = obtain(TEXT_SLAB);
        if (!slab) return 0;
        text_at = slab;
        text_end = slab + (1 << TEXT_SLAB);
    }
    text_at += need;
    return text_at - need;
}

/* An equal string that stays; 0 when there is no room. */
static uint32_t keep(uint32_t p, uint32_t size) {
    if (p >= STATIC && p + size <= static_end) return p;
    if (size > MAX_HEAP) return 0;
    uint32_t hash = (uint32_t)hash_bytes(0, p, size);
    if (!index_has_room(&interned)) return 0;
    for (uint32_t i = hash & interned.mask; interned.slots[i].at; i = (i + 1) & interned.mask) {
        uint32_t at = interned.slots[i].at;
        if (interned.slots[i].hash == hash && *(uint32_t *)(at - 4) == size &&
            same_bytes(at, p, size))
            return at;
    }
    uint32_t room = text_room(size);
    if (!room) return 0;
    *(uint32_t *)room = size;
    __builtin_memcpy((void *)(room + 4), (void *)p, size);
    index_add(&interned, hash, room + 4);
    return room + 4;
}

/* --- what lives as long as an entry -------------------------------------------------------------- */

/* What has just been deleted can still be read: a loop may hold the key.  It is given back when that
 * much more has been deleted. */
enum { LIMBO = 65536 };

static struct {
    uint32_t first, last, size;
} limbo;

static void release_soon(uint32_t p) {
    *(uint32_t *)(p - 4) = 0;
    *(limbo.last ? (uint32_t *)(limbo.last - 4) : &limbo.first) = p;
    limbo.last = p;
    limbo.size += (uint32_t)1 << *(uint32_t *)(p - 8);
    while (limbo.size > LIMBO && limbo.first != limbo.last) {
        uint32_t old = limbo.first;
        limbo.first = *(uint32_t *)(old - 4);
        limbo.size -= (uint32_t)1 << *(uint32_t *)(old - 8);
        release_own(old);
    }
}

/* The text of a key: the entry's own, but for the script's constants. */
static uint32_t own_text(uint32_t p, uint32_t size) {
    if (!size) return STATIC;
    if (p >= STATIC && p + size <= static_end) return p;
    if (size > MAX_HEAP) return 0;
    uint32_t own = obtain_own(size);
    if (own) __builtin_memcpy((void *)own, (void *)p, size);
    return own;
}

/* --- entries ---------------------------------------------------------------------------------- */

static uint32_t low(uint64_t word) { return (uint32_t)word; }
static uint32_t high(uint64_t word) { return (uint32_t)(word >> 32); }
static uint32_t value_of(const Map *map, const Entry *entry) {
    return (uint32_t)(entry->key + map->fields);
}

static uint32_t hash_key(const Map *map, const uint64_t *key) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < map->fields; i++) {
        if (map->strings >> i & 1)
            hash = hash_bytes(hash, low(key[i]), high(key[i]));
        else
            hash = mixed(hash, key[i]);
    }
    return (uint32_t)hash;
}

static int same_key(const Map *map, const uint64_t *a, const uint64_t *b) {
    for (uint32_t i = 0; i < map->fields; i++) {
        if (a[i] == b[i]) continue;
        if (!(map->strings >> i & 1) || high(a[i]) != high(b[i])) return 0;
        if (!same_bytes(low(a[i]), low(b[i]), high(a[i]))) return 0;
    }
    return 1;
}

static Entry *map_find(const Map *map, const uint64_t *key, uint32_t hash) {
    const Index *index = &map->index;
    for (uint32_t i = hash & index->mask; index->slots[i].at; i = (i + 1) & index->mask) {
        Entry *entry = (Entry *)index->slots[i].at;
        if (index->slots[i].hash == hash && same_key(map, entry->key, key)) return entry;
    }
    return 0;
}

static void free_texts(const Map *map, const uint64_t *key) {
    for (uint32_t i = 0; i < map->fields; i++)
        if (map->strings >> i & 1 && high(key[i]) && low(key[i]) >= static_end)
            release_soon(low(key[i]));
}

static void free_slabs(Slab *slab) {
    while (slab) {
        Slab *next = slab->next;
        release((uint32_t)slab, slab->class);
        slab = next;
    }
}

/* Moves what is left to where entries are gone, in the same order. */
static __attribute__((noinline)) void move_up(Map *map) {
    Slab *slab = map->first;
    uint32_t to = (uint32_t)(slab + 1);
    for (Slab *from = slab; from; from = from->next) {
        uint32_t end = from->end;
        for (uint32_t at = (uint32_t)(from + 1); at < end; at += map->entry_size) {
            const Entry *entry = (const Entry *)at;
            if (entry->dirty == GONE) continue;
            if (to >= slab->end) {
                slab = slab->next;
                to = (uint32_t)(slab + 1);
            }
            if (to != at) {
                Slot *slots = map->index.slots;
                uint32_t i = entry->hash & map->index.mask;
                while (slots[i].at != at) i = (i + 1) & map->index.mask;
                slots[i].at = to;
                __builtin_memmove((void *)to, (void *)at, map->entry_size);
            }
            to += map->entry_size;
        }
    }
    free_slabs(slab->next);
    *slab = (Slab){0, to, slab->class, 0};
    map->last = slab;
    map->slab_end = (uint32_t)slab + ((uint32_t)1 << slab->class);
    map->gone = 0;
}

static int is_full(const Map *map) {
    return !map->last || map->slab_end - map->last->end < map->entry_size;
}

static Entry *entry_room(Map *map) {
#ifdef MAPS
    if (is_full(map) && map->gone > map->index.size && !map->loops) move_up(map);
#endif
    Slab *slab = map->last;
    if (is_full(map)) {
        Slab *fresh = (Slab *)obtain(map->slab_class);
        if (!fresh) return 0;
        *fresh = (Slab){0, (uint32_t)(fresh + 1), map->slab_class, 0};
        map->slab_end = (uint32_t)fresh + ((uint32_t)1 << map->slab_class);
        if (map->slab_class < LAST_SLAB) map->slab_class++;
        if (slab)
            slab->next = fresh;
        else
            map->first = fresh;
        map->last = slab = fresh;
    }
    slab->end += map->entry_size;
    return (Entry *)(slab->end - map->entry_size);
}

static Entry *map_insert(Map *map, const uint64_t *key, uint32_t hash) {
    if (!index_has_room(&map->index)) return 0;
    Entry *entry = entry_room(map);
    if (!entry) return 0;
    entry->hash = hash;
    entry->dirty = 0;
    for (uint32_t i = 0; i < map->fields; i++) {
        entry->key[i] = key[i];
        if (!(map->strings >> i & 1)) continue;
        uint32_t own = own_text(low(key[i]), high(key[i]));
        if (!own) {
            while (i < map->fields) entry->key[i++] = 0;
            free_texts(map, entry->key);
            map->last->end -= map->entry_size;
            return 0;
        }
        entry->key[i] = own | (uint64_t)high(key[i]) << 32;
    }
    __builtin_memset((void *)value_of(map, entry), 0, map->value_size);
    index_add(&map->index, hash, (uint32_t)entry);
    return entry;
}

static Map *map_make(uint32_t fields, uint32_t strings, uint32_t value_size) {
    Map *map = (Map *)obtain_own(sizeof(Map));
    if (!map) return 0;
    uint32_t entry_size = (uint32_t)sizeof(Entry) + 8 * fields + ((value_size + 7) & ~7u);
    uint32_t class = heap_class(4 * entry_size);
    *map = (Map){.index = {.slots = no_slots},
                 .fields = fields,
                 .strings = strings,
                 .value_size = value_size,
                 .entry_size = entry_size,
                 .slab_class = class > FIRST_SLAB ? class : FIRST_SLAB};
    return map;
}

/* Entries in the order they came. */
typedef struct {
    const Slab *slab;
    Entry *entry;
} Walk;

static Walk walk_from(const Map *map) {
    return (Walk){map->first, (Entry *)(map->first + 1)};
}

static void walk_on(const Map *map, Walk *walk) {
    walk->entry = (Entry *)((uint32_t)walk->entry + map->entry_size);
}

/* The entry the walk stands at, NULL behind the last. */
static Entry *walk_at(const Map *map, Walk *walk) {
    while (walk->slab) {
        if ((uint32_t)walk->entry >= walk->slab->end) {
            walk->slab = walk->slab->next;
            walk->entry = (Entry *)(walk->slab + 1);
        } else if (walk->entry->dirty == GONE) {
            walk_on(map, walk);
        } else {
            return walk->entry;
        }
    }
    return 0;
}

#endif
