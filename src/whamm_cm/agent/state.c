/* The state of a script: its strings, maps and aggregations, and what it reports and prints.
 *
 * One per component instance, linked with the generated script module.  Nothing here traps: without
 * memory a map answers with a slot nobody reads, and that is counted as dropped.  Addresses are fixed
 * and mirrored in layout.py (a test compares them).
 *
 *        0  stack (grows down to 0: an overflow would trap instead of overwriting state)
 *     4096  KEY, ZEROS, SPARE
 *     8192  data
 *    16384  BODY: the record being built; TAIL, also the text being made (-DTEXTS); TEXT
 *    65536  ring of strings that live for a moment
 *   131072  STATIC: the script's own strings, the heap behind them
 */
#include <stdint.h>

enum {
    KEY = 4096, KEY_FIELDS = 32,
    ZEROS = KEY + 8 * KEY_FIELDS, VALUE_FIELDS = 64,
    SPARE = ZEROS + 8 * VALUE_FIELDS,
    BODY = 16384,
    TAIL = 32768,
    TEXT = 49152,
    AREA = 16384,
    RING = 65536, RING_SIZE = 65536, MAX_TMP = 16384,
    RECORD_HEADER = 16,
    MAX_BODY = 16384 - RECORD_HEADER,
    MAX_IMAGE = 1024,
    STATE_POS = 9216, STATE_LIMIT = 9220, STATE_DEPTH = 9232, STATE_DROPPED = 9240,
    ENTRY_TASK = 28, ENTRY_VARS = 44,
    REPORT = 2, PRINT = 5, RAW = 8 << 4, TIMED = 1 << 4,
};

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

#include "describe.h"

IMPORT("agent", "room") int32_t agent_room(void);
IMPORT("agent", "put32") void agent_put32(uint32_t p, uint32_t v);
IMPORT("agent", "put64") void agent_put64(uint32_t p, uint64_t v);
IMPORT("agent", "get32") uint32_t agent_get32(uint32_t p);
IMPORT("way", "drain") void drain(void);
IMPORT("way", "context") uint32_t context(void);

EXPORT(state_init) void state_init(uint32_t heap_start) {
    static_end = heap_start < STATIC ? STATIC : heap_start;
    heap.at = (static_end + 15) & ~15u;
    heap.limit = heap.at + MAX_HEAP;
}

static void drop(void) { agent_put32(STATE_DROPPED, agent_get32(STATE_DROPPED) + 1); }

/* --- memory and strings ----------------------------------------------------------------------- */

EXPORT(alloc) uint32_t alloc(uint32_t size) {
    uint32_t p = obtain_own(size);
    if (!p) drop();
    return p;
}

EXPORT(free) void heap_free(uint32_t p) {
    if (p) release_own(p);
}

static uint32_t ring_at;

EXPORT(tmp) uint32_t tmp(uint32_t size) {
    if (size > MAX_TMP) size = MAX_TMP;
    if (ring_at + size > RING_SIZE) ring_at = 0;
    uint32_t p = RING + ring_at;
    ring_at += (size + 7) & ~7u;
    return p;
}

EXPORT(str_keep) uint32_t str_keep(uint32_t p, uint32_t size) {
    uint32_t kept = keep(p, size);
    if (kept) return kept;
    drop();
    return p;
}

EXPORT(str_eq) int32_t str_eq(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    return n == m && same_bytes(p, q, n);
}
EXPORT(str_starts) int32_t str_starts(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    return m <= n && same_bytes(p, q, m);
}
EXPORT(str_ends) int32_t str_ends(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    return m <= n && same_bytes(p + n - m, q, m);
}
EXPORT(str_contains) int32_t str_contains(uint32_t p, uint32_t n, uint32_t q, uint32_t m) {
    for (; m <= n; p++, n--)
        if (same_bytes(p, q, m)) return 1;
    return 0;
}

/* --- tasks (tasks.h) -------------------------------------------------------------------------- */

/* What a task's variables start with; behind it lie those that are used outside of tasks. */
static uint32_t vars_first, vars_size;

EXPORT(task_init) void task_init(uint32_t first, uint32_t size) {
    vars_first = first;
    vars_size = size;
}

/* The entry of the task that runs: where no export does, there is no context to ask. */
static uint32_t task(void) { return agent_get32(STATE_DEPTH) ? context() : 0; }

EXPORT(task_number) uint32_t task_number(void) {
    uint32_t at = task();
    return at ? agent_get32(at + ENTRY_TASK) : 0;
}

EXPORT(task_vars) uint32_t task_vars(void) {
    uint32_t at = task(), p = at ? agent_get32(at + ENTRY_VARS) : 0;
    if (p) return p;
    if (!at || !(p = alloc(vars_size))) return vars_first + vars_size;
    __builtin_memcpy((void *)p, (void *)vars_first, vars_size);
    agent_put32(at + ENTRY_VARS, p);
    return p;
}

EXPORT(task_over) void task_over(uint32_t at) { heap_free(agent_get32(at + ENTRY_VARS)); }

/* --- maps and aggregations -------------------------------------------------------------------- */

EXPORT(map_new) uint32_t map_new(uint32_t fields, uint32_t strings, uint32_t value_size) {
    Map *map = 0;
    if (fields <= KEY_FIELDS && value_size <= 8 * VALUE_FIELDS)
        map = map_make(fields, strings, value_size);
    if (!map) drop();
    return (uint32_t)map;
}

static __attribute__((noinline)) uint32_t spare(void) {
    drop();
    __builtin_memset((void *)SPARE, 0, 8 * VALUE_FIELDS);
    return SPARE;
}

EXPORT(map_at) uint32_t map_at(uint32_t id) {
    Map *map = (Map *)id;
    if (!map) return spare();
    const uint64_t *key = (const uint64_t *)KEY;
    uint32_t hash = hash_key(map, key);
    Entry *entry = map_find(map, key, hash);
    if (!entry && !(entry = map_insert(map, key, hash))) return spare();
    entry->dirty = 1;
    return value_of(map, entry);
}

/* The same for a key of one field that is an integer.  It is called at every event of some scripts,
   so what is there is found without another call. */
static __attribute__((noinline)) uint32_t map_at_slowly(uint32_t id, uint64_t key) {
    *(uint64_t *)KEY = key;
    return map_at(id);
}

static inline Entry *entry_with(uint32_t id, uint64_t key) {
    const Index *index = &((const Map *)id)->index;
    for (uint32_t i = (uint32_t)mixed(0, key);; i++) {
        Entry *entry = (Entry *)index->slots[i & index->mask].at;
        if (!entry || entry->key[0] == key) return entry;
    }
}

EXPORT(map_at_one) uint32_t map_at_one(uint32_t id, uint64_t key) {
    Entry *entry = id ? entry_with(id, key) : 0;
    if (!entry) return map_at_slowly(id, key);
    entry->dirty = 1;
    return (uint32_t)(entry->key + 1);
}

static __attribute__((noinline)) void map_add_slowly(uint32_t id, uint64_t key, uint64_t amount) {
    *(uint64_t *)map_at_slowly(id, key) += amount;
}

/* Adds to a value that is a 64-bit integer. */
EXPORT(map_add_one) void map_add_one(uint32_t id, uint64_t key, uint64_t amount) {
    Entry *entry = id ? entry_with(id, key) : 0;
    if (!entry) {
        map_add_slowly(id, key, amount);
        return;
    }
    entry->dirty = 1;
    entry->key[1] += amount;
}

EXPORT(map_get) uint32_t map_get(uint32_t id) {
    const Map *map = (const Map *)id;
    const uint64_t *key = (const uint64_t *)KEY;
    const Entry *entry = map ? map_find(map, key, hash_key(map, key)) : 0;
    return entry ? value_of(map, entry) : ZEROS;
}

EXPORT(map_size) uint32_t map_size(uint32_t id) { return id ? ((Map *)id)->index.size : 0; }

EXPORT(agg_new) uint32_t agg_new(uint32_t kind) {
    Agg *agg = agg_make(kind);
    if (!agg) drop();
    return (uint32_t)agg;
}

EXPORT(agg_add) void agg_add(uint32_t id, int64_t sample) {
    if (id) agg_put((Agg *)id, sample);
}

/* --- records ---------------------------------------------------------------------------------- */

/* Room for one record; when reporting, what is buffered may be sent first. */
static int has_room(int reporting) {
    if (agent_get32(STATE_POS) <= agent_get32(STATE_LIMIT)) return 1;
    if (reporting) {
        drain();
        if (agent_get32(STATE_POS) <= agent_get32(STATE_LIMIT)) return 1;
    }
    return agent_room();
}

/* `body` may be read up to the next multiple of 8 bytes. */
static int send(uint32_t site, uint32_t phase, uint64_t call, uint32_t body, uint32_t size) {
    if (!has_room(phase == REPORT)) return 0;
    uint32_t p = agent_get32(STATE_POS);
    agent_put32(p, RECORD_HEADER + size);
    agent_put32(p + 4, site << 8 | phase);
    agent_put64(p + 8, call);
    for (uint32_t i = 0; i < size; i += 8)
        agent_put64(p + RECORD_HEADER + i, *(const uint64_t *)(body + i));
    agent_put32(STATE_POS, p + RECORD_HEADER + size);
    return 1;
}

static struct {
    uint64_t cell;
    uint32_t site, tail;
} record;

/* What cells with other than scalar values were last sent as, a hash: key is (site, cell). */
static Map *sent;

EXPORT(rec_begin) int32_t rec_begin(uint32_t site, uint64_t cell) {
    record.site = site;
    record.cell = cell;
    record.tail = 0;
    __builtin_memset((void *)BODY, 0, MAX_IMAGE);
    return 1;
}

EXPORT(rec_put) void rec_put(uint32_t offset, uint32_t size, uint64_t value) {
    if (offset <= MAX_IMAGE - 8) __builtin_memcpy((void *)(BODY + offset), &value, size <= 8 ? size : 8);
}

EXPORT(rec_str) void rec_str(uint32_t p, uint32_t size) {
    if (record.tail + 4 > MAX_BODY - MAX_IMAGE) return;
    uint32_t left = MAX_BODY - MAX_IMAGE - 4 - record.tail, kept = size < left ? size : left;
    *(uint32_t *)(TAIL + record.tail) = kept;
    __builtin_memcpy((void *)(TAIL + record.tail + 4), (void *)p, kept);
    record.tail += 4 + kept;
}

static int all_zero(uint32_t p, uint32_t size) {
    uint8_t any = 0;
    for (uint32_t i = 0; i < size; i++) any |= *(uint8_t *)(p + i);
    return !any;
}

EXPORT(rec_end) void rec_end(uint32_t image_size) {
    uint32_t image = image_size < MAX_IMAGE ? image_size : MAX_IMAGE, size = image + record.tail;
    __builtin_memcpy((void *)(BODY + image), (void *)TAIL, record.tail);
    if (!sent) sent = map_make(2, 0, 8);
    uint64_t key[2] = {record.site, record.cell}, *last = 0;
    uint64_t now = all_zero(BODY, size) ? 0 : hash_bytes(1, BODY, size);
    if (sent) {
        uint32_t hash = hash_key(sent, key);
        Entry *entry = map_find(sent, key, hash);
        if (!entry) entry = map_insert(sent, key, hash);
        if (entry) last = (uint64_t *)value_of(sent, entry);
    }
    if (last && *last == now) return;
    if (send(record.site, REPORT, record.cell, BODY, size) && last) *last = now;
}

static struct {
    uint64_t *values;
    uint32_t count;
} last_sent;

/* Where the value last sent of scalar cell `index` is remembered; NULL without memory. */
static uint64_t *last_of(uint32_t index) {
    if (index < last_sent.count) return last_sent.values + index;
    if (index >= MAX_HEAP / 8) return 0;
    uint32_t old = 8 * last_sent.count, size = 8 * (index < 127 ? 128 : index + 1);
    uint32_t class = heap_class(size), p = obtain(class);
    if (!p) return 0;
    __builtin_memcpy((void *)p, last_sent.values, old);
    __builtin_memset((void *)(p + old), 0, ((uint32_t)1 << class) - old);
    if (old) release((uint32_t)last_sent.values, heap_class(old));
    last_sent.values = (uint64_t *)p;
    last_sent.count = ((uint32_t)1 << class) / 8;
    return last_sent.values + index;
}

EXPORT(report_cell)
void report_cell(uint32_t site, uint64_t cell, uint32_t index, uint32_t size, uint64_t value) {
    uint64_t *last = last_of(index);
    if (last ? *last == value : !value) return;
    *(uint64_t *)BODY = value;
    if (send(site, REPORT, cell, BODY, size <= 8 ? size : 8) && last) *last = value;
}

static uint8_t *put_leb(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = (uint8_t)value | 0x80;
    *at++ = (uint8_t)value;
    return at;
}

enum { LEB = 10, ITEM = 5 + 5 + LEB };

/* Sends those of `n` counters that are not what was sent last: runs of them, how many lie between
 * and how many follow, with the value of each. */
EXPORT(report_counts)
void report_counts(uint32_t site, uint32_t first, const uint64_t *now, uint64_t *last, uint32_t n) {
    for (uint32_t i = 0;;) {
        while (n - i >= 4 && !((now[i] ^ last[i]) | (now[i + 1] ^ last[i + 1]) |
                               (now[i + 2] ^ last[i + 2]) | (now[i + 3] ^ last[i + 3])))
            i += 4;
        while (i < n && now[i] == last[i]) i++;
        if (i == n) return;
        uint32_t start = i, next = i;
        uint8_t *at = (uint8_t *)BODY, *limit = at + MAX_BODY - ITEM;
        while (i < n && at <= limit) {
            uint32_t end = i, most = (uint32_t)(limit - at) / LEB + 1;
            while (end < n && end - i < most && now[end] != last[end]) end++;
            at = put_leb(put_leb(at, i - next), end - i);
            for (; i < end; i++) at = put_leb(at, now[i]);
            next = i;
            while (i < n && now[i] == last[i]) i++;
        }
        if (!send(site, REPORT, first + start, BODY, (uint32_t)(at - (uint8_t *)BODY))) return;
        for (uint32_t k = start; k < next; k++) last[k] = now[k];
    }
}

/* Whether a value of that descriptor may change without its entry being asked for. */
static int holds_ids(const uint8_t **desc) {
    int found = 0;
    for (uint32_t n = *(*desc)++; n; n--) {
        uint32_t kind = *(*desc)++;
        found |= kind == MAP || kind >= AGG;
        if (kind == MAP) inner_pair(desc);
        if (kind == TUPLE) found |= holds_ids(desc);
    }
    return found;
}

EXPORT(report_map)
void report_map(uint32_t site, uint64_t cell, uint32_t id, const uint8_t *key, const uint8_t *value) {
    Map *map = (Map *)id;
    if (!map) return;
    const uint8_t *desc = value;
    int all = holds_ids(&desc);
    Pair pair = pair_of(key, value);
    if (map->shrunk) {
        Walk every = walk_from(map);
        for (Entry *entry; (entry = walk_at(map, &every)); walk_on(map, &every)) entry->dirty = 1;
    }
    for (Walk walk = walk_from(map), first = walk;; first = walk) {
        Cursor out = {.at = (uint8_t *)BODY + 8, .end = (uint8_t *)BODY + MAX_BODY};
        uint32_t count = put_entries(map, &walk, all, &pair, &out);
        if (!count && !map->shrunk) return;
        *(uint64_t *)BODY = (uint64_t)count << 32 | map->shrunk;
        if (!send(site, REPORT, cell, BODY, (uint32_t)out.at - BODY)) return;
        map->told = 1;
        map->shrunk = 0;
        while (count) {
            Entry *entry = walk_at(map, &first);
            count -= all || entry->dirty;
            entry->dirty = 0;
            walk_on(map, &first);
        }
    }
}

EXPORT(report_agg) void report_agg(uint32_t site, uint64_t cell, uint32_t id) {
    Agg *agg = (Agg *)id;
    if (!agg || !agg->dirty) return;
    uint32_t size = 16;
    agg_image(agg, agg->kind, (uint8_t *)BODY);
    if (is_hist(agg->kind)) {
        uint32_t count = hist_size(agg);
        *(uint32_t *)(BODY + 8) = count;
        hist_buckets(agg, count, (uint8_t *)BODY + 12);
        size = 12 + 16 * count;
    }
    if (send(site, REPORT, cell, BODY, size)) agg->dirty = 0;
}

#include "dump.h"
#include "print.h"
/* What few scripts use is in variants of the module. */
#ifdef MAPS
#include "shrink.h"
#include "draw.h"
#endif
#ifdef TEXTS
#include "format.h"
#include "strings.h"
#include "wave.h"
#endif

/* --- for places that cannot import this memory ------------------------------------------------ */

#define ACCESS(name, type, value)                                                        \
    EXPORT(ld##name) value ld##name(uint32_t p) {                                         \
        type v;                                                                           \
        __builtin_memcpy(&v, (void *)p, sizeof v);                                        \
        return (value)v;                                                                  \
    }
#define STORE(name, type, value)                                                         \
    EXPORT(st##name) void st##name(uint32_t p, value word) {                              \
        type v = (type)word;                                                              \
        __builtin_memcpy((void *)p, &v, sizeof v);                                        \
    }
ACCESS(8u, uint8_t, uint32_t)
ACCESS(16u, uint16_t, uint32_t)
ACCESS(32, uint32_t, uint32_t)
ACCESS(64, uint64_t, uint64_t)
ACCESS(f32, float, float)
ACCESS(f64, double, double)
STORE(8, uint8_t, uint32_t)
STORE(16, uint16_t, uint32_t)
STORE(32, uint32_t, uint32_t)
STORE(64, uint64_t, uint64_t)
STORE(f32, float, float)
STORE(f64, double, double)
