/* The sink: turns blocks of binary records into lines of text and hands them to the host.
 *
 * It lives in a component of its own beside the traced ones.  Built three times: with -DSINK_LOGGING
 * lines go to wasi:logging, otherwise to stderr; with -DSINK_PREVIEW1 it is merged into a plain module,
 * whose WASI it then writes with.  A line is `WCM2.<nonce> <run>.<line> <payload>`, the payload a slice
 * of blocks in base64 or a record in JSON (docs/records.md).  layout.py describes the bytes,
 * trace/decode.py is the same renderer in Python and must agree word for word.
 *
 * Whatever a guest wrote, nothing here may trap: a record that contradicts its types is counted as
 * lost, one whose text would be too long is told without its values, and once the way out is closed
 * the sink stays silent.  Settings and site table are ours and trusted.
 *
 * Memory: stack, data, settings at align16(__heap_base), site table, text or blocks (SINK_OUT), the
 * block received.
 */
#include <stdint.h>

#include "base64.h"
#include "lines.h"
#include "secrets.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* Where the memory comes from, too; a plain module may have an "env" of its own. */
#ifdef SINK_PREVIEW1
#define OUTSIDE "preview1-out"
#else
#define OUTSIDE "env"
#endif

/* What makes a run known among others: random bits, wall clock (seconds, nanoseconds) and monotonic
 * clock.  Zero where the weaver connects none. */
IMPORT(OUTSIDE, "seed") void facts_seed(uint64_t seed[2]);
IMPORT(OUTSIDE, "wall") void facts_wall(uint64_t wall[2]);
IMPORT(OUTSIDE, "now") uint64_t facts_now(void);

/* --- the way out ------------------------------------------------------------------------------ */

static int silent; /* the way out failed once: nothing is written any more */

#ifdef SINK_LOGGING

IMPORT(OUTSIDE, "log")
void logging_log(uint32_t level, const char *context, uint32_t context_size, const char *message,
                 uint32_t message_size);

enum { LEVEL_INFO = 2, SEVERAL = 0 };
static const char context[] = "whamm-cm";

/* A message for each line, which comes with its end. */
static void write_out(const char *bytes, uint32_t size) {
    logging_log(LEVEL_INFO, context, sizeof context - 1, bytes, size - 1);
}
static void let_go(void) {}

#else

enum { SEVERAL = 1 };

#ifdef SINK_PREVIEW1

IMPORT(OUTSIDE, "write") void preview1_write(const char *bytes, uint32_t size);

static void write_out(const char *bytes, uint32_t size) { preview1_write(bytes, size); }
static void let_go(void) {}

#else

IMPORT(OUTSIDE, "get") uint32_t stderr_get(void);
IMPORT(OUTSIDE, "write")
void stderr_write(uint32_t stream, const char *bytes, uint32_t size, uint32_t *result);
IMPORT(OUTSIDE, "drop") void stderr_drop(uint32_t stream);
IMPORT(OUTSIDE, "drop-error") void stderr_drop_error(uint32_t error);

static uint32_t stream, has_stream;

/* One write; afterwards the sink may be silent.  result<_, stream-error>: 1 is an error, in which
 * 0 (last-operation-failed) carries a handle that is ours to drop. */
static void write_out(const char *bytes, uint32_t size) {
    uint32_t result[3] = {0, 0, 0};
    if (!has_stream) stream = stderr_get();
    has_stream = 1;
    stderr_write(stream, bytes, size, result);
    silent = result[0] & 0xFF;
    if (silent && !(result[1] & 0xFF)) stderr_drop_error(result[2]);
}

/* The sink is done for now.  A guest in the same component instance could use or drop any handle
 * that is there while it runs: then the stream is only there while the sink does. */
static void let_go(void) {
    if (!has_stream || !(silent || settings()->near)) return;
    stderr_drop(stream);
    has_stream = 0;
}

#endif
#endif

/* --- lines ------------------------------------------------------------------------------------ */

enum { MAX_WRITE = 4096 }; /* what blocking-write-and-flush takes at most */
enum { LINE = 4000, PIECE = 3900, SLICE = PIECE / 4 * 3 }; /* a prefix has less than 60 bytes */

static uint32_t next_line;

static void start_line(void) {
    put_text("WCM2.");
    put_bytes(settings()->nonce, sizeof settings()->nonce);
    put(' ');
    put_bytes(run_name, sizeof run_name);
    put('.');
    put_unsigned(next_line);
    put(' ');
}

/* Writes the lines between the start of the text and `end`, several at once where they fit. */
static void write_lines(const char *end) {
    const char *at = (const char *)text_at();
    while (at != end && !silent) {
        const char *next = at;
        if (SEVERAL) {
            next = end - at > MAX_WRITE ? at + MAX_WRITE : end;
            while (next[-1] != '\n') next--;
        } else {
            while (*next++ != '\n') {}
        }
        write_out(at, (uint32_t)(next - at));
        at = next;
    }
}

/* --- records in JSON -------------------------------------------------------------------------- */

static char line[LINE + 96];

/* A record whose text is too long for a line, from `json` to the text's end: in pieces. */
static void put_pieces(const char *json) {
    const char *end = text.at, *limit = text.end;
    char *const start = (char *)text_at();
    for (const char *at = json; at != end && !silent;) {
        uint32_t size = (uint32_t)(end - at);
        if (size > PIECE) {
            size = PIECE;
            /* No character is cut, and only the last piece ends in "};". */
            while ((at[size] & 0xC0) == 0x80) size--;
            if (at[size - 1] == ';' && at[size - 2] == '}') size--;
        }
        text.at = line;
        text.end = line + sizeof line;
        start_line();
        put(at == json ? 'J' : 'j');
        put_bytes(at, size);
        at += size;
        if (at == end) put(';');
        put('\n');
        next_line++;
        write_out(line, (uint32_t)(text.at - line));
    }
    text.at = start;
    text.end = (char *)limit;
}

static int try_line(const Record *record, uint32_t instance, int with_values) {
    char *start = text.at, *json;
    text.overflow = 0;
    in.broken = 0;
    text.end = start + MAX_TEXT;
    start_line();
    json = text.at;
    put_json(record, instance, with_values);
    if (in.broken || text.overflow) {
        text.at = start;
        return 0;
    }
    if (text.at - start >= LINE) {
        write_lines(start);
        put_pieces(json);
        return 1;
    }
    text.end = text.at + 1; /* the newline always fits */
    put('\n');
    next_line++;
    return 1;
}

/* One record; 0 if it is broken.  One that is too long is told without its values. */
static int put_line(const Record *record, uint32_t instance) {
    if (!try_line(record, instance, 1) && (in.broken || !try_line(record, instance, 0))) return 0;
    next_seq++;
    if (text.at - (char *)text_at() > FLUSH_AT) {
        write_lines(text.at);
        text.at = (char *)text_at();
    }
    return 1;
}

/* The lines of what a module counted: runs of counters, how many lie between and how many follow,
 * with the value of each.  0 if that is not all there is. */
static int put_counted(const Record *from, uint32_t instance) {
    const Counted *of = (const Counted *)words_at(site_of(from)->variable);
    const uint8_t *at = from->body;
    uint64_t counter = from->call;
    in.broken = 0;
    while (at < from->end) {
        counter += take_leb(&at, from->end);
        uint64_t length = take_leb(&at, from->end);
        for (; length && !in.broken; length--, counter++) {
            uint64_t value = take_leb(&at, from->end);
            if (in.broken || counter >= of->n_counters) return 0;
            seek_counter(of, (uint32_t)counter);
            uint32_t n = number_of_column(of->counts, (uint32_t)counter), cell = counted.cell, pc = counted.pc;
            for (; n; n--) {
                Record record = *from;
                put_cell(&record, &value);
                if (!put_line(&record, instance)) return 0;
            }
            counted.cell = cell;
            counted.pc = pc;
        }
        if (in.broken) return 0;
    }
    return 1;
}

/* Renders all records; returns how many could not be. */
static uint32_t put_records(const uint8_t *p, const uint8_t *end, uint32_t instance) {
    uint32_t lost = 0;
    while (p < end) {
        Record record = {0};
        if (end - p < RECORD_HEADER) return lost + 1;
        uint32_t size = load32(p);
        if (size < RECORD_HEADER) return lost + 1;
        uint32_t room = (uint32_t)(end - p);
        if (size > room) return lost + 1;
        int known = parse_record(&record, p, size);
        if (known && is_counted(&record))
            lost += !put_counted(&record, instance);
        else
            lost += !known || !put_line(&record, instance);
        p += size;
    }
    return lost;
}

static void put_note(uint32_t phase, uint64_t count, uint32_t instance) {
    const Record record = {.phase = phase,
                           .body = (const uint8_t *)&count,
                           .end = (const uint8_t *)(&count + 1)};
    put_line(&record, instance);
}

static void render(const uint8_t *block, uint32_t payload, uint32_t instance) {
    const uint8_t *records = block + BLOCK_HEADER;
    uint64_t lost = load32(block + 16);
    lost += put_records(records, records + payload, instance);
    if (lost) put_note(LOST, lost, instance);
    if (!(load32(block + 4) & FINAL)) return; /* it waits for more */
    if (!(load32(block + 4) & GOES_ON)) put_note(END, 0, instance);
    write_lines(text.at);
    text.at = (char *)text_at();
}

/* --- blocks in base64 ------------------------------------------------------------------------- */

static uint32_t held, records_before;

static uint8_t *held_at(void) { return (uint8_t *)text_at(); }

static void write_held(void) {
    const uint8_t *at = held_at(), *end = at + held;
    char kind = 'B';
    for (; at != end && !silent; kind = 'b') {
        uint32_t size = end - at < SLICE ? (uint32_t)(end - at) : SLICE;
        text.at = line;
        text.end = line + sizeof line;
        start_line();
        *text.at++ = kind;
        text.at = base64_write(text.at, at, size);
        *text.at++ = '.';
        *text.at++ = '\n';
        next_line++;
        write_out(line, (uint32_t)(text.at - line));
        at += size;
    }
    held = 0;
}

static uint32_t count_records(const uint8_t *p, const uint8_t *end) {
    uint32_t count = 0;
    while (p < end) {
        uint32_t size = end - p < RECORD_HEADER ? 0 : load32(p);
        count++;
        if (size < RECORD_HEADER || size > (uint32_t)(end - p)) break;
        p += size;
    }
    return count;
}

static void store32(uint8_t *p, uint32_t v) { __builtin_memcpy(p, &v, 4); }

static void hold(const uint8_t *block, uint32_t payload, uint32_t instance) {
    uint8_t *at;
    if (held + BLOCK_HEADER + payload > SINK_OUT - 4) write_held();
    at = held_at() + held;
    __builtin_memcpy(at, block, BLOCK_HEADER + payload);
    store32(at + 8, instance);
    store32(at + 12, records_before);
    store32(at + 20, payload);
    records_before += count_records(at + BLOCK_HEADER, at + BLOCK_HEADER + payload);
    held += BLOCK_HEADER + payload;
    if ((load32(block + 4) & FINAL) || held > FLUSH_AT) write_held();
}

/* --- runs ------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

typedef struct {
    uint32_t magic, flags, instance, before, dropped, payload;
    uint64_t header_wall;
    uint32_t size, word;
    uint64_t call, body[2];
} StartBlock;

/* The first block is there: the run gets its name, of random bits where there are any, and of what
 * the block says, time stamps included; and its first record. */
static void begin(const uint8_t *block, uint32_t size) {
    uint64_t seed[2] = {0, 0}, wall[2] = {0, 0}, now, ns;
    facts_seed(seed);
    facts_wall(wall);
    now = facts_now();
    ns = wall[0] * 1000000000u + (uint32_t)wall[1];
    uint64_t hash = mixed(mixed(mixed(mixed(1, seed[0]), seed[1]), ns), now);
    for (uint32_t i = 0; i + 8 <= size; i += 8) hash = mixed(hash, load64(block + i));
    for (uint32_t i = 0; i < sizeof run_name; i++)
        run_name[i] = "0123456789abcdef"[hash >> 4 * i & 15];
    StartBlock start = {BLOCK_MAGIC, START_BLOCK, 0, 0, 0, now ? 32 : 24, ns, now ? 32 : 24, 0, 0, {0, 0}};
    start.word = (now ? TIMED << 4 : 0) | START;
    start.body[0] = now ? now : ns;
    start.body[1] = ns;
    const uint8_t *bytes = (const uint8_t *)&start;
    if (settings()->json)
        put_records(bytes + BLOCK_HEADER, bytes + BLOCK_HEADER + start.payload, 0);
    else
        hold(bytes, start.payload, 0);
}

static uint32_t last_instance, unsaid; /* records came since the last END */

/* A block in `size` bytes; what is beyond the payload is anything. */
static uint32_t receive(const uint8_t *block, uint32_t size) {
    if (size < BLOCK_HEADER || load32(block) != BLOCK_MAGIC) return 0;
    uint32_t instance = load32(block + 8), payload = load32(block + 20);
    uint32_t room = size - BLOCK_HEADER;
    if (payload > room) payload = room;
    uint32_t some = payload | load32(block + 16);
    if (!instance && some) instance = ++last_instance;
    if (silent || !(some | unsaid)) return instance;
    if (!text.at) text.at = (char *)text_at();
    if (!settings()->show_secrets) mask_block((uint8_t *)block + BLOCK_HEADER, payload);
    if (!run_name[0]) begin(block, size);
    unsaid = (load32(block + 4) & (FINAL | GOES_ON)) != FINAL;
    if (settings()->json)
        render(block, payload, instance);
    else
        hold(block, payload, instance);
    let_go();
    return instance;
}

/* Every block lies in the same place, above the text; it is gone before the next one comes. */
static uint32_t input_of(uint32_t size) {
    uint32_t at = text_at() + SINK_OUT;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE, want = (uint64_t)at + size;
    /* When the host refuses to grow, it will find the block out of bounds itself. */
    if (want > have) __builtin_wasm_memory_grow(0, (uint32_t)((want - have + PAGE - 1) / PAGE));
    return at;
}

#ifdef SINK_PREVIEW1

/* Where a block is to be copied for `emit`, as large as blocks are. */
EXPORT("input") uint32_t input(void) { return input_of(SINK_INPUT); }

EXPORT("emit") uint32_t emit(const uint8_t *block, uint32_t size) { return receive(block, size); }

#else

/* A block of `chunks` times the header's size. */
EXPORT("emit") uint32_t emit(const uint8_t *block, uint32_t chunks) {
    return receive(block, chunks * BLOCK_HEADER);
}

EXPORT("cabi_realloc")
uint32_t cabi_realloc(uint32_t old, uint32_t old_size, uint32_t align, uint32_t size) {
    (void)old, (void)old_size, (void)align;
    return input_of(size);
}

#endif
