/* The agent: the record buffer that lives in front of every probed component instance.
 *
 * Probes write records straight into this module's memory; the functions here only run when a buffer
 * is full, flushed or reported.  The agent imports nothing, so it can be instantiated before anything
 * else, and it never traps.  Every address is fixed and mirrored in layout.py (a test compares them).
 *
 *        0  stack (grows down to 0: an overflow would trap instead of overwriting state)
 *     1024  State, name area, secret header names (the only initialised data)
 *     2048  counters               4096 x u64
 *    34816  scratch                one record that found no room
 *    51264  base64 pairs           4096 x u16, filled on the first take_b64
 *    59456  out area               one block, raw or base64
 *   131040  block header           directly before the buffer, so both encode in one go
 *   131072  record buffer          to the end of memory, grows up to 1 MiB
 */
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

enum {
    PAGE = 65536,
    STATE = 1024,
    NAME = STATE + 64,
    NAME_SIZE = 64,
    COUNTERS = 2048,
    N_COUNTERS = 4096,
    SCRATCH = 34816,
    PAIRS = 51264,
    OUT = 59456,
    HEADER = 131040,
    HEADER_SIZE = 32,
    START = 131072,
    MAX_RECORD = 16384,
    MAX_BUFFER = 1 << 20,
    MAX_PAYLOAD = 48 << 10,
    HIGH = START + (32 << 10),
    MAGIC = 0x314D4357,
    PHASE_REPORT = 2,
    REPORT_SIZE = 24,
    MIN_RECORD = 16,
};

typedef struct {
    uint32_t pos, limit;
    uint64_t next_call;
    uint32_t depth, instance, dropped, in_emit;
    uint32_t out_ptr, scratch, name, high;
    uint32_t reserved[4];
} State;

/* Guest records are unaligned; these go through memcpy, which wasm turns into one plain access. */
static uint32_t load32(uint32_t p) {
    uint32_t v;
    __builtin_memcpy(&v, (void *)p, 4);
    return v;
}
static void store32(uint32_t p, uint32_t v) { __builtin_memcpy((void *)p, &v, 4); }
static void store64(uint32_t p, uint64_t v) { __builtin_memcpy((void *)p, &v, 8); }

#define SECRET_SIZE 20
/* One object, so that the linker cannot order anything before the state. */
static struct {
    State state;
    uint8_t name[NAME_SIZE];
    char secrets[5][SECRET_SIZE];
} image __attribute__((aligned(16))) = {
    .state = {.pos = START,
              .limit = START + PAGE - MAX_RECORD,
              .next_call = 1,
              .scratch = SCRATCH,
              .name = NAME,
              .high = HIGH},
    .secrets = {"authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"},
};
_Static_assert(sizeof(State) == NAME - STATE, "the name area follows the state");
_Static_assert(sizeof image <= COUNTERS - STATE, "initialised data must end before the counters");
#define S image.state

static int has_room(void) {
    while (S.pos > S.limit) {
        uint32_t end = __builtin_wasm_memory_size(0) * PAGE;
        if (end - START >= MAX_BUFFER || __builtin_wasm_memory_grow(0, 1) == (uint32_t)-1) return 0;
        S.limit = end + PAGE - MAX_RECORD;
    }
    return 1;
}

EXPORT(room) int32_t room(void) {
    if (has_room()) return 1;
    S.dropped++;
    return 0;
}

/* Bytes of whole records to send now: all of them when they fit a block. */
static uint32_t whole_records(void) {
    uint32_t all = S.pos - START, taken = 0;
    if (all <= MAX_PAYLOAD) return all;
    while (taken < all) {
        uint32_t size = load32(START + taken);
        if (size < MIN_RECORD || size > MAX_RECORD || taken + size > MAX_PAYLOAD) break;
        taken += size;
    }
    return taken;
}

/* Puts the block header before the buffer; 0 when there is nothing to send. */
static uint32_t open_block(int32_t final, uint32_t *taken) {
    if (S.in_emit || (S.pos == START && !S.dropped)) return 0;
    *taken = whole_records();
    if (!*taken && S.pos != START) { /* only a broken record can block the queue: give it up */
        S.pos = START;
        S.dropped++;
    }
    store32(HEADER, MAGIC);
    store32(HEADER + 4, final && S.pos == START + *taken);
    store32(HEADER + 8, S.instance);
    store32(HEADER + 12, 0);
    store32(HEADER + 16, S.dropped);
    store32(HEADER + 20, *taken);
    store64(HEADER + 24, 0);
    S.dropped = 0;
    S.in_emit = 1;
    S.out_ptr = OUT;
    return HEADER_SIZE + *taken;
}

static void close_block(uint32_t taken) {
    uint32_t rest = S.pos - START - taken;
    if (rest && taken) __builtin_memmove((void *)START, (void *)(START + taken), rest);
    S.pos = START + rest;
}

EXPORT(take_raw) int32_t take_raw(int32_t final) {
    uint32_t taken = 0, size = open_block(final, &taken);
    if (!size) return 0;
    __builtin_memcpy((void *)OUT, (void *)HEADER, size);
    close_block(taken);
    return (int32_t)size;
}

static uint32_t digit(uint32_t v) {
    return v < 26 ? 'A' + v : v < 52 ? 'a' + v - 26 : v < 62 ? '0' + v - 52 : v == 62 ? '+' : '/';
}

static const uint16_t *base64_pairs(void) {
    uint16_t *pairs = (uint16_t *)PAIRS;
    if (!pairs[0])
        for (uint32_t i = 0; i < 4096; i++) pairs[i] = (uint16_t)(digit(i >> 6) | digit(i & 63) << 8);
    return pairs;
}

static inline uint32_t quad(const uint16_t *pairs, uint32_t bits24) {
    return pairs[bits24 >> 12] | (uint32_t)pairs[bits24 & 4095] << 16;
}

static uint32_t base64(uint32_t out, const uint8_t *in, uint32_t size) {
    const uint16_t *pairs = base64_pairs();
    uint32_t start = out;
    for (; size >= 6; in += 6, size -= 6, out += 8) { /* two overlapping loads: no byte beyond is read */
        uint32_t x = __builtin_bswap32(load32((uint32_t)in));
        uint32_t y = __builtin_bswap32(load32((uint32_t)in + 2));
        store64(out, quad(pairs, x >> 8) | (uint64_t)quad(pairs, y & 0xFFFFFF) << 32);
    }
    if (size >= 3) {
        store32(out, quad(pairs, (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2]));
        in += 3, size -= 3, out += 4;
    }
    if (size) {
        uint32_t bits = (uint32_t)in[0] << 16 | (size == 2 ? (uint32_t)in[1] << 8 : 0);
        uint32_t keep = size == 2 ? 0x00FFFFFF : 0x0000FFFF;
        store32(out, (quad(pairs, bits) & keep) | (0x3D3D3D3D & ~keep));
        out += 4;
    }
    return out - start;
}

EXPORT(take_b64) int32_t take_b64(int32_t final) {
    uint32_t taken = 0, size = open_block(final, &taken);
    if (!size) return 0;
    uint32_t length = base64(OUT, (const uint8_t *)HEADER, size);
    close_block(taken);
    return (int32_t)length;
}

EXPORT(sent) void sent(int32_t id) {
    S.instance = (uint32_t)id;
    S.in_emit = 0;
}

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

static int same_name(const uint8_t *name, const char *secret, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        uint32_t c = name[i];
        if (c - 'A' < 26u) c |= 0x20;
        if (c != (uint8_t)secret[i]) return 0;
    }
    return secret[size] == 0;
}

EXPORT(secret) int32_t secret(int32_t size) {
    if ((uint32_t)size - 1 >= SECRET_SIZE - 1) return 0;
    for (uint32_t i = 0; i < sizeof image.secrets / SECRET_SIZE; i++)
        if (same_name(image.name, image.secrets[i], (uint32_t)size)) return 1;
    return 0;
}

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
