/* The sink: turns blocks of binary records into JSON lines and hands them to the host.
 *
 * It lives in a component of its own beside the traced ones.  Built three times: with -DSINK_LOGGING
 * lines go to wasi:logging, otherwise to stderr behind the sentinel "WCM1 "; with -DSINK_PREVIEW1 it is
 * merged into a plain module, whose WASI it then writes with.  layout.py describes the bytes,
 * trace/decode.py is the same renderer in Python and must agree word for word.
 *
 * Whatever a guest wrote, nothing here may trap: a record that contradicts its types is counted as
 * dropped, a line that would be too long is told without its values, and once the way out is closed
 * the sink stays silent.  The site table is ours and trusted.
 *
 * Memory: stack, data, site table at align16(__heap_base), text (SINK_OUT), the block received.
 */
#include <stdint.h>

#include "lines.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* --- the way out ------------------------------------------------------------------------------ */

static int silent; /* the way out failed once: nothing is written any more */

#ifdef SINK_LOGGING

IMPORT("logging", "log")
void logging_log(uint32_t level, const char *context, uint32_t context_size, const char *message,
                 uint32_t message_size);

enum { LEVEL_INFO = 2 };
static const char context[] = "whamm-cm";

static void start_line(void) {}

static void end_line(char *start) {
    logging_log(LEVEL_INFO, context, sizeof context - 1, start, (uint32_t)(text.at - start));
    text.at = start;
}

static void flush(void) {}

#else

#ifdef SINK_PREVIEW1

IMPORT("preview1-out", "write") void preview1_write(const char *bytes, uint32_t size);

static void open_way(void) {}
static void write_out(const char *bytes, uint32_t size) { preview1_write(bytes, size); }

#else

IMPORT("stderr", "get") uint32_t stderr_get(void);
IMPORT("stderr", "write")
void stderr_write(uint32_t stream, const char *bytes, uint32_t size, uint32_t *result);
IMPORT("stderr", "drop") void stderr_drop(uint32_t stream);
IMPORT("stderr", "drop-error") void stderr_drop_error(uint32_t error);

static uint32_t stream, has_stream;

static void open_way(void) {
    if (!has_stream) stream = stderr_get();
    has_stream = 1;
}

/* One write; afterwards the sink may be silent.  result<_, stream-error>: 1 is an error, in which
 * 0 (last-operation-failed) carries a handle that is ours to drop. */
static void write_out(const char *bytes, uint32_t size) {
    uint32_t result[3] = {0, 0, 0};
    stderr_write(stream, bytes, size, result);
    if (!(result[0] & 0xFF)) return;
    if (!(result[1] & 0xFF)) stderr_drop_error(result[2]);
    stderr_drop(stream);
    has_stream = 0;
    silent = 1;
}

#endif

enum { MAX_WRITE = 4096 }; /* what blocking-write-and-flush takes at most */

static void start_line(void) { put_text("WCM1 "); }

static void end_line(char *start) {
    (void)start;
    put('\n');
}

/* The end of the last whole line in the first MAX_WRITE bytes, else all of them. */
static uint32_t chunk_of(const char *bytes, uint32_t size) {
    if (size <= MAX_WRITE) return size;
    for (uint32_t n = MAX_WRITE; n; n--)
        if (bytes[n - 1] == '\n') return n;
    return MAX_WRITE;
}

static void flush(void) {
    const char *at = (const char *)text_at();
    if (text.at != at) open_way();
    while (at != text.at && !silent) {
        uint32_t size = chunk_of(at, (uint32_t)(text.at - at));
        write_out(at, size);
        at += size;
    }
    text.at = (char *)text_at();
}

#endif

/* --- blocks ----------------------------------------------------------------------------------- */

static int try_line(const Record *record, uint32_t instance, int with_values) {
    char *start = text.at;
    text.overflow = 0;
    in.broken = 0;
    text.end = start + MAX_LINE;
    start_line();
    put_json(record, instance, with_values);
    if (in.broken || text.overflow) {
        text.at = start;
        return 0;
    }
    text.end = start + MAX_LINE + 1; /* the newline always fits */
    end_line(start);
    return 1;
}

/* One line; 0 if the record is broken.  One that is too long is told without its values. */
static int put_line(const Record *record, uint32_t instance) {
    if (!try_line(record, instance, 1) && (in.broken || !try_line(record, instance, 0))) return 0;
    next_seq++;
    if (text.at - (char *)text_at() > FLUSH_AT) flush();
    return 1;
}

/* Renders all records; returns how many could not be. */
static uint32_t put_records(const uint8_t *p, const uint8_t *end, uint32_t instance) {
    uint32_t lost = 0;
    while (p < end) {
        Record record = {0};
        if (end - p < RECORD_HEADER) return lost + 1;
        uint32_t size = load32(p);
        if (size < RECORD_HEADER || size > (uint32_t)(end - p)) return lost + 1;
        uint32_t lines = parse_record(&record, p, size) ? lines_of(&record) : 0, left = lines;
        for (; left && put_line(&record, instance); left--) record.cell++;
        lost += left || !lines;
        p += size;
    }
    return lost;
}

static void put_dropped(uint64_t count, uint32_t instance) {
    const Record record = {.phase = DROPPED,
                           .body = (const uint8_t *)&count,
                           .end = (const uint8_t *)(&count + 1)};
    put_line(&record, instance);
}

static uint32_t last_instance;

/* A block in `size` bytes; what is beyond the payload is anything. */
static uint32_t receive(const uint8_t *block, uint32_t size) {
    if (size < BLOCK_HEADER || load32(block) != BLOCK_MAGIC) return 0;
    uint32_t instance = load32(block + 8), payload = load32(block + 20);
    uint32_t room = size - BLOCK_HEADER;
    if (payload > room) payload = room;
    if (!instance && (payload || load32(block + 16))) instance = ++last_instance;
    if (silent) return instance;
    if (!text.at) text.at = (char *)text_at();
    const uint8_t *records = block + BLOCK_HEADER;
    uint64_t lost = load32(block + 16);
    lost += put_records(records, records + payload, instance);
    if (lost) put_dropped(lost, instance);
    if (load32(block + 4) & FINAL) flush(); /* else it waits for more */
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
