/* The agent: the record buffer that lives in front of every probed component instance.
 *
 * Probes write records straight into this module's memory; the functions here only run when a buffer
 * is full, flushed or reported.  The agent imports nothing, so it can be instantiated before anything
 * else, and it never traps.  Every address is fixed and mirrored in layout.py (a test compares them).
 *
 *        0  stack of a sink in this memory (grows down to 0: an overflow would trap)
 *     8192  stack
 *     9216  State, name area, secret header names (the only initialised data)
 *    10208  sampling               written by probes only (layout.py)
 *    10240  counters               4096 x u64
 *    43008  scratch                one record that found no room
 *    59456  out area               one block; even, for it may be lowered as a latin1+utf16 string
 *   108640  tasks                  and what is due to them (tasks.h)
 *   131072  where a sink in this memory has its data (layout.py, near_start)
 *    start  record buffer          to the end of memory, grows by pages up to 1 MiB
 */
#include <stdint.h>

#include "secret_names.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum {
    PAGE = 65536,
    STATE = 9216,
    NAME = STATE + 64,
    NAME_SIZE = 64,
    SAMPLING = 10208,
    COUNTERS = 10240,
    N_COUNTERS = 4096,
    SCRATCH = 43008,
    OUT = 59456,
    HEADER_SIZE = 32,
    START = 131072,
    MAX_RECORD = 16384,
    MAX_BUFFER = 1 << 20,
    MAX_LONG = 64 << 20,
    MAX_PAYLOAD = 48 << 10,
    HIGH = 32 << 10,
    EARLY = 8,
    MAGIC = 0x324D4357,
    PHASE_REPORT = 2,
    PHASE_PIECE = 12,
    REPORT_SIZE = 24,
    MIN_RECORD = 16,
    PUSH = 1,
    EVEN_EMPTY = 2,
    GOES_ON = 8,
    FINAL_BLOCK = 1,
    GOING_BLOCK = 4,
    ASKED = 1,
    SAID = 2,
};

typedef struct {
    uint32_t pos, limit;
    uint64_t next_call;
    uint32_t depth, instance, dropped, in_emit;
    uint32_t out_ptr, start, name, high; /* start: another where a sink shares the memory */
    uint64_t last_flush; /* written by probes */
    uint32_t counts; /* written by the weave, read by a host after a crash */
    uint32_t ask;    /* written by a host, read by the script unit */
} State;

/* Guest records are unaligned; these go through memcpy, which wasm turns into one plain access. */
static uint32_t load32(uint32_t p) {
    uint32_t v;
    __builtin_memcpy(&v, (void *)p, 4);
    return v;
}
static void store32(uint32_t p, uint32_t v) { __builtin_memcpy((void *)p, &v, 4); }
static void store64(uint32_t p, uint64_t v) { __builtin_memcpy((void *)p, &v, 8); }

/* One object, so that the linker cannot order anything before the state. */
static struct {
    State state;
    uint8_t name[NAME_SIZE];
    char secrets[256];
} image __attribute__((aligned(16))) = {
    .state = {.pos = START,
              .limit = START + PAGE - MAX_RECORD,
              .next_call = 1,
              .start = START,
              .name = NAME,
              .high = START},
    .secrets = "authorization\0*-authorization\0cookie\0set-cookie\0api-key\0*-api-key\0apikey\0"
               "*-apikey\0*-token\0*-secret\0*-password\0x-*-key\0x-*-signature\0"
               "x-*-signature-256\0x-*-auth\0x-*-credential\0x-*-session\0",
};
_Static_assert(sizeof(State) == NAME - STATE, "the name area follows the state");
_Static_assert(sizeof image <= SAMPLING - STATE, "initialised data must end before what probes keep");
#define S image.state

static int has_room(void) {
    while (S.pos > S.limit) {
        uint32_t end = __builtin_wasm_memory_size(0) * PAGE;
        if (end - S.start >= MAX_BUFFER || __builtin_wasm_memory_grow(0, 1) == (uint32_t)-1) return 0;
        S.limit = end + PAGE - MAX_RECORD;
    }
    return 1;
}

EXPORT(room) int32_t room(void) {
    if (has_room()) return 1;
    S.dropped++;
    return 0;
}

/* Whether the buffer may hold a record of more than MAX_RECORD bytes; how many bytes have left of
 * one that is the first. */
static uint32_t longs, gone;

/* Room for `need` bytes at `p` of the record that is being written, where values are recorded whole:
 * the end of what there is, which may be less. */
EXPORT(more) uint32_t more(uint32_t p, uint32_t need) {
    uint32_t end = __builtin_wasm_memory_size(0) * PAGE;
    if (p < S.start) return SCRATCH + MAX_RECORD;
    if (need > end - p && need <= MAX_LONG) {
        uint32_t pages = (need - (end - p) + PAGE - 1) / PAGE;
        if (__builtin_wasm_memory_grow(0, pages) != (uint32_t)-1) end += pages * PAGE;
        S.limit = end - MAX_RECORD;
    }
    if (p - S.pos + need > MAX_RECORD) longs = 1;
    return end;
}

/* Bytes of whole records to send now: all of them when they fit a block. */
static uint32_t whole_records(void) {
    uint32_t all = S.pos - S.start, taken = 0;
    if (all <= MAX_PAYLOAD && !longs) return all;
    while (taken < all) {
        uint32_t size = load32(S.start + taken);
        if (size < MIN_RECORD || size > MAX_RECORD || taken + size > MAX_PAYLOAD) break;
        taken += size;
    }
    return taken;
}

/* Early on every record leaves at once, then every few, twice as many each time: a guest that does
 * not live long has said something, one that does pays for a handful of blocks. */
static uint32_t early;

static int32_t hastened(int32_t flags) {
    if (S.high >= S.start + HIGH) return flags;
    if (++early > EARLY) S.high = S.start + (64u << (early - EARLY));
    return flags & PUSH ? flags : flags | PUSH | GOES_ON;
}

static uint32_t owing; /* records left, and no block since has said that they were all */

static void write_header(uint32_t flags, uint32_t taken) {
    store32(OUT, MAGIC);
    store32(OUT + 4, flags);
    store32(OUT + 8, S.instance);
    store32(OUT + 12, 0);
    store32(OUT + 16, S.dropped);
    store32(OUT + 20, taken);
    store64(OUT + 24, 0);
}

/* Whether there is something to say: records, losses, or that there is no more. */
static int has_news(int32_t flags) {
    if (S.pos != S.start || S.dropped || flags & EVEN_EMPTY) return 1;
    return owing && (flags & (PUSH | GOES_ON)) == PUSH;
}

/* Puts the next piece of the first record, which is a long one, into the out area; its size, 0 where
 * the record is broken.  `*left` is what the buffer is rid of: nothing before the last piece. */
static uint32_t piece(uint32_t *left) {
    uint32_t all = load32(S.start), size = all - gone;
    *left = 0;
    if (!longs || all < MIN_RECORD || all > S.pos - S.start) return 0;
    if (size > MAX_RECORD - MIN_RECORD) size = MAX_RECORD - MIN_RECORD;
    store32(OUT + HEADER_SIZE, MIN_RECORD + size);
    store32(OUT + HEADER_SIZE + 4, PHASE_PIECE);
    store32(OUT + HEADER_SIZE + 8, all);
    store32(OUT + HEADER_SIZE + 12, gone);
    __builtin_memcpy((void *)(OUT + HEADER_SIZE + MIN_RECORD), (void *)(S.start + gone), size);
    gone += size;
    if (gone == all) {
        *left = all;
        gone = 0;
    }
    return MIN_RECORD + size;
}

/* Moves a block into the out area, where it stays while records are added during the emit. */
EXPORT(take) int32_t take(int32_t flags) {
    if (S.in_emit || !has_news(flags)) return 0;
    uint32_t taken = whole_records(), left = taken;
    __builtin_memcpy((void *)(OUT + HEADER_SIZE), (void *)S.start, taken);
    if (!taken && S.pos != S.start && !(taken = piece(&left))) { /* broken: give it up */
        S.pos = S.start;
        S.dropped++;
    }
    uint32_t rest = S.pos - S.start - left;
    if (taken) flags = hastened(flags);
    uint32_t final = (flags & PUSH) && !rest;
    write_header(final ? FINAL_BLOCK | (flags & GOES_ON ? GOING_BLOCK : 0) : 0, taken);
    owing = !final || (flags & GOES_ON);
    if (rest && left) __builtin_memmove((void *)S.start, (void *)(S.start + left), rest);
    if (!rest) longs = 0;
    S.pos = S.start + rest;
    S.dropped = 0;
    S.in_emit = 1;
    S.out_ptr = OUT;
    return (int32_t)(HEADER_SIZE + taken);
}

EXPORT(sent) void sent(int32_t id) {
    S.instance = (uint32_t)id;
    S.in_emit = 0;
}

/* Whether a host wants a report, once. */
EXPORT(asked) int32_t asked(void) {
    uint32_t ask = S.ask;
    S.ask = 0;
    return ask == ASKED;
}

/* The last report has been made: a host that looks in after the end need not miss one. */
EXPORT(said) void said(void) { S.ask = SAID; }

EXPORT(report) void report(int32_t base_site, int32_t n) {
    uint64_t *counters = (uint64_t *)COUNTERS;
    uint32_t count = (uint32_t)n < N_COUNTERS ? (uint32_t)n : N_COUNTERS;
    for (uint32_t i = 0; i < count; i++) {
        if (!counters[i]) continue;
        if (!has_room()) return; /* nothing is lost: the counts wait for the next report */
        store32(S.pos, REPORT_SIZE);
        store32(S.pos + 4, ((uint32_t)base_site + i) << 8 | PHASE_REPORT);
        store64(S.pos + 8, 0);
        store64(S.pos + 16, counters[i]);
        S.pos += REPORT_SIZE;
        counters[i] = 0;
    }
}

/* Whether the first `size` bytes of the name area are the name of a secret header. */
EXPORT(secret) int32_t secret(int32_t size) {
    return size >= 0 && size <= NAME_SIZE && name_among(image.secrets, image.name, (uint32_t)size);
}

#include "tasks.h"

/* For hosts without multi-memory: a probe then only has the guest's memory and writes through these. */
EXPORT(put8) void put8(int32_t p, int32_t v) { *(uint8_t *)p = (uint8_t)v; }
EXPORT(put16) void put16(int32_t p, int32_t v) {
    uint16_t half = (uint16_t)v;
    __builtin_memcpy((void *)p, &half, 2);
}
EXPORT(put32) void put32(int32_t p, int32_t v) { store32((uint32_t)p, (uint32_t)v); }
EXPORT(put64) void put64(int32_t p, int64_t v) { store64((uint32_t)p, (uint64_t)v); }
EXPORT(get32) int32_t get32(int32_t p) { return (int32_t)load32((uint32_t)p); }
EXPORT(get64) int64_t get64(int32_t p) {
    int64_t v;
    __builtin_memcpy(&v, (void *)p, 8);
    return v;
}
