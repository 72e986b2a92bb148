/* The sink: turns blocks of binary records into JSON lines and hands them to the host.
 *
 * It lives in a component of its own beside the traced ones.  Built twice: with -DSINK_LOGGING lines go
 * to wasi:logging, otherwise to stderr behind the sentinel "WCM1 ".  layout.py describes the bytes,
 * trace/decode.py is the same renderer in Python and must agree word for word.
 *
 * Whatever a guest wrote, nothing here may trap: a record that contradicts its types is counted as
 * dropped, a line that would be too long is told without its values, and once the way out is closed
 * the sink stays silent.  The site table is ours and trusted.
 *
 * Memory: stack, data, site table at align16(__heap_base), text (SINK_OUT), the block received.
 */
#include <stdint.h>

#include "text.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

enum {
    PAGE = 65536,
    SINK_OUT = 128 << 10,
    MAX_LINE = 64 << 10,
    FLUSH_AT = 32 << 10,
    MAX_DEPTH = 64,
    BLOCK_MAGIC = 0x314D4357,
    FINAL = 1,
    BLOCK_HEADER = 32,
    RECORD_HEADER = 16,
    TIMED = 1, BAD = 2, BIG = 4,
    SELF = 1,
};
#define NONE 0xFFFFFFFFu
#define BAD_POINTER 0xFFFFFFFFu
#define REDACTED 0xFFFFFFFEu

enum Phase { CALL, RETURN, REPORT, DROPPED, PENDING };
enum Kind {
    BOOL, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, CHAR, STRING, LIST, FIXED_LIST, MAP,
    RECORD, TUPLE, VARIANT, ENUM, FLAGS, OPTION, RESULT, OWN, BORROW, STREAM, FUTURE, ERROR_CONTEXT,
};

typedef struct {
    uint32_t magic, version, n_sites, sites, n_types, types, strings, total_size;
} Table;
typedef struct {
    uint32_t kind, size, align, flags, a, b, count, extra;
} Node;
typedef struct {
    uint32_t name, length, type, offset;
} Entry;
typedef struct {
    uint32_t kind, edge, component[2], interface[2], version[2], func[2], params, result, flags, pad[3];
} Site;
typedef struct {
    uint32_t phase, flags, site_number;
    uint64_t call, time, duration;
    const uint8_t *body, *end;
} Record;

extern uint8_t __heap_base;

static uint32_t align16(uint32_t p) { return (p + 15) & ~15u; }
static uint32_t table_at(void) { return align16((uint32_t)&__heap_base); }
static const Table *table(void) { return (const Table *)table_at(); }
static uint32_t text_at(void) { return align16(table_at() + table()->total_size); }
static const Node *node_of(uint32_t number) {
    return (const Node *)(table_at() + table()->types) + number;
}
static const Entry *entries_of(const Node *node) { return (const Entry *)(table_at() + node->extra); }
static void put_span(uint32_t offset, uint32_t size) {
    put_name((const uint8_t *)(table_at() + offset), size);
}

static uint32_t load32(const uint8_t *p) {
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}
static uint64_t load64(const uint8_t *p) {
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return v;
}
/* 1, 2, 4 or 8 bytes. */
static uint64_t load_sized(const uint8_t *p, uint32_t size) {
    uint64_t v = 0;
    for (uint32_t i = 0; i < size; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* --- values ----------------------------------------------------------------------------------- */

/* The record being rendered.  `broken` once its bytes contradict its types. */
static struct {
    const uint8_t *tail, *end;
    uint32_t encoding;
    int broken;
} in;

static void put_value(const Node *node, const uint8_t *image, uint32_t depth);

/* The next length of the tail; 0 from where the record was cut. */
static uint32_t next_kept(void) {
    if (in.end - in.tail < 4) {
        in.tail = in.end;
        return 0;
    }
    in.tail += 4;
    return load32(in.tail - 4);
}

/* The next bytes of the tail, or NULL (and the record is broken). */
static const uint8_t *take(uint64_t size) {
    const uint8_t *at = in.tail;
    if (size > (uint64_t)(in.end - in.tail)) {
        in.broken = 1;
        return 0;
    }
    in.tail += size;
    return at;
}

static void put_bad(uint64_t raw) {
    put_text("{\"~bad\":\"");
    put_hex(raw);
    put_text("\"}");
}

static int put_marker(uint32_t kept, uint64_t address, uint64_t total) {
    if (kept < REDACTED) return 0;
    if (kept == BAD_POINTER) {
        put_bad(address);
    } else {
        put_text("{\"~redacted\":");
        put_unsigned(total);
        put('}');
    }
    return 1;
}

static void open_cut(uint64_t total, const char *key) {
    put_text("{\"~cut\":");
    put_unsigned(total);
    put_text(key);
}

static void put_guest_string(const Node *node, const uint8_t *image) {
    uint32_t pointer = node->size / 2, encoding = in.encoding, kept = next_kept();
    uint64_t address = load_sized(image, pointer), units = load_sized(image + pointer, pointer);
    uint64_t tag = (uint64_t)1 << (8 * pointer - 1);
    if (encoding == LATIN1 && (units & tag)) {
        units &= ~tag;
        encoding = 1;
    }
    if (put_marker(kept, address, units)) return;
    uint64_t width = encoding == 1 ? 2 : 1;
    /* Compared in units, for 64-bit lengths could overflow in bytes. */
    if ((kept + width - 1) / width > units) in.broken = 1;
    const uint8_t *bytes = take(kept);
    if (!bytes) return;
    int cut = kept % width || kept / width != units;
    if (cut) open_cut(units, ",\"~str\":");
    put_string(bytes, kept, encoding, cut);
    if (cut) put('}');
}

static void put_elements(const Node *element, const uint8_t *image, uint32_t count, uint32_t depth) {
    put('[');
    for (uint32_t i = 0; i < count && !in.broken && !text.overflow; i++) {
        if (i) put(',');
        put_value(element, image + i * element->size, depth + 1);
    }
    put(']');
}

static void put_list(const Node *node, const uint8_t *image, uint32_t depth) {
    const Node *element = node_of(node->a);
    uint32_t pointer = node->size / 2, kept = next_kept();
    uint64_t address = load_sized(image, pointer), total = load_sized(image + pointer, pointer);
    int bytes = node->kind == LIST && element->kind == U8;
    if (put_marker(kept, address, total)) return;
    if (kept > total) in.broken = 1;
    const uint8_t *elements = take((uint64_t)kept * element->size);
    if (!elements) return;
    if (kept < total)
        open_cut(total, bytes ? ",\"~b64\":" : ",\"~list\":");
    else if (bytes)
        put_text("{\"~b64\":");
    if (bytes)
        put_base64(elements, kept);
    else
        put_elements(element, elements, kept, depth);
    if (kept < total || bytes) put('}');
}

/* The fields from `first` on, as an object. */
static void put_record(const Node *node, const uint8_t *image, uint32_t first, uint32_t depth) {
    const Entry *field = entries_of(node);
    put('{');
    for (uint32_t i = first; i < node->count && !in.broken && !text.overflow; i++) {
        if (i > first) put(',');
        put_span(field[i].name, field[i].length);
        put(':');
        put_value(node_of(field[i].type), image + field[i].offset, depth + 1);
    }
    put('}');
}

static void put_tuple(const Node *node, const uint8_t *image, uint32_t depth) {
    const Entry *field = entries_of(node);
    put('[');
    for (uint32_t i = 0; i < node->count && !in.broken && !text.overflow; i++) {
        if (i) put(',');
        put_value(node_of(field[i].type), image + field[i].offset, depth + 1);
    }
    put(']');
}

static void put_flags(const Node *node, const uint8_t *image) {
    const Entry *label = entries_of(node);
    int some = 0;
    put('[');
    for (uint32_t i = 0; i < node->count; i++) {
        if (!(image[i / 8] >> (i % 8) & 1)) continue;
        if (some) put(',');
        put_span(label[i].name, label[i].length);
        some = 1;
    }
    put(']');
}

/* Variants, results, enums and options, which differ in what stands around the payload. */
static void put_variant(const Node *node, const uint8_t *image, uint32_t depth) {
    uint32_t disc = (uint32_t)load_sized(image, node->a);
    const Entry *entry = entries_of(node) + disc;
    if (disc >= node->count) {
        put_bad(disc);
        return;
    }
    int enumeration = node->kind == ENUM, option = node->kind == OPTION;
    int wrapped = !enumeration && !option;
    if (option && disc == 1 && node_of(entry->type)->kind == OPTION) wrapped = 1;
    if (wrapped) put('{');
    if (wrapped || enumeration) put_span(entry->name, entry->length);
    if (wrapped) put(':');
    if (entry->type != NONE)
        put_value(node_of(entry->type), image + node->b, depth + 1);
    else if (!enumeration)
        put_text("null");
    if (wrapped) put('}');
}

static void put_scalar(const Node *node, const uint8_t *image) {
    uint64_t raw = load_sized(image, node->size);
    int64_t value;
    switch (node->kind) {
    case BOOL:
        if (raw > 1)
            put_bad(raw);
        else
            put_text(raw ? "true" : "false");
        return;
    case S8:
    case S16:
    case S32:
    case S64:
        value = (int64_t)(raw << (64 - 8 * node->size)) >> (64 - 8 * node->size);
        put_int(value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
        return;
    case F32:
    case F64:
        put_float(raw, node->kind == F32);
        return;
    case CHAR:
        if (raw > 0x10FFFF || (raw >= 0xD800 && raw < 0xE000)) {
            put_bad(raw);
            return;
        }
        put('"');
        put_char((uint32_t)raw);
        put('"');
        return;
    default:
        put_int(raw, 0);
    }
}

static void put_value(const Node *node, const uint8_t *image, uint32_t depth) {
    if (depth > MAX_DEPTH) { /* the guest's stack may be nearly used up: stay shallow */
        put_text("{\"~deep\":true}");
        if (node->flags & 1) in.tail = in.end;
        return;
    }
    switch (node->kind) {
    case STRING:
        put_guest_string(node, image);
        return;
    case LIST:
    case MAP:
        put_list(node, image, depth);
        return;
    case FIXED_LIST:
        put_elements(node_of(node->a), image, node->count, depth);
        return;
    case RECORD:
        put_record(node, image, 0, depth);
        return;
    case TUPLE:
        put_tuple(node, image, depth);
        return;
    case VARIANT:
    case ENUM:
    case OPTION:
    case RESULT:
        put_variant(node, image, depth);
        return;
    case FLAGS:
        put_flags(node, image);
        return;
    default:
        put_scalar(node, image);
    }
}

/* --- records ---------------------------------------------------------------------------------- */

static void put_key(const char *key) {
    put_text(",\"");
    put_text(key);
    put_text("\":");
}

static void put_number(const char *key, uint64_t value) {
    put_key(key);
    put_unsigned(value);
}

static void put_optional(const char *key, const uint32_t span[2]) {
    if (!span[1]) return;
    put_key(key);
    put_span(span[0], span[1]);
}

/* The image of `node` at the start of the body, with the tail behind it. */
static const uint8_t *open_image(const Record *record, const Node *node, const Site *site) {
    in.tail = record->body;
    in.end = record->end;
    in.encoding = site->flags >> 4 & 3;
    return take(node->size);
}

static void put_args(const Record *record, const Site *site) {
    const Node *node = node_of(site->params);
    const uint8_t *image = open_image(record, node, site);
    uint32_t first = (site->flags & SELF) && node->count ? 1 : 0;
    if (!image) return;
    if (first) {
        const Entry *self = entries_of(node);
        put_key("self");
        put_value(node_of(self->type), image + self->offset, 2);
    }
    if (first == node->count) return;
    put_key("args");
    put_record(node, image, first, 1);
}

static void put_result(const Record *record, const Site *site) {
    const Node *node = node_of(site->result);
    const uint8_t *image = open_image(record, node, site);
    if (!image) return;
    put_key("result");
    put_value(node, image, 1);
}

static void put_site(const Record *record, int with_values) {
    static const char *const edges[] = {"import", "export", "inner", "builtin"};
    const Site *site = (const Site *)(table_at() + table()->sites) + record->site_number;
    put_text(",\"edge\":\"");
    put_text(edges[site->edge & 3]);
    put('"');
    put_optional("component", site->component);
    put_optional("interface", site->interface);
    put_optional("version", site->version);
    put_key("func");
    put_span(site->func[0], site->func[1]);
    if (record->phase == REPORT) put_number("count", load64(record->body));
    if (record->phase == PENDING) {
        put_text(",\"pending\":true");
        put_number("status", load32(record->body));
    }
    if (record->flags & (BAD | BIG)) with_values = 0;
    if (with_values && record->phase == CALL && site->params != NONE) put_args(record, site);
    if (with_values && record->phase == RETURN && site->result != NONE) put_result(record, site);
}

static uint32_t next_seq;

static void put_json(const Record *record, uint32_t instance, int with_values) {
    static const char *const phases[] = {"call", "return", "report", "dropped", "return"};
    int timed = record->flags & TIMED, framed = record->phase != REPORT && record->phase != DROPPED;
    uint32_t flags = record->flags | (with_values ? 0 : BIG);
    put_text("{\"v\":1");
    put_number("seq", next_seq);
    if (timed) put_number("t_ns", record->time);
    put_number("instance", instance);
    if (framed) put_number("call", record->call);
    put_text(",\"phase\":\"");
    put_text(phases[record->phase]);
    put('"');
    if (record->phase == DROPPED) {
        put_number("count", load64(record->body));
    } else {
        put_site(record, with_values);
        if (flags & BAD) put_text(",\"bad\":true");
        if (flags & BIG) put_text(",\"big\":true");
    }
    if (timed && framed && record->phase != CALL) put_number("dur_ns", record->duration);
    put('}');
}

/* Reads the fixed part of a record of `size` bytes; 0 if it makes no sense. */
static int parse_record(Record *record, const uint8_t *p, uint32_t size) {
    static const uint8_t body_sizes[] = {0, 0, 8, 8, 4};
    uint32_t word = load32(p + 4);
    record->phase = word & 15;
    record->flags = word >> 4 & 15;
    record->site_number = word >> 8;
    record->call = load64(p + 8);
    record->body = p + RECORD_HEADER;
    record->end = p + size;
    if (record->phase > PENDING || record->flags & ~(uint32_t)(TIMED | BAD | BIG)) return 0;
    if (record->phase != DROPPED && record->site_number >= table()->n_sites) return 0;
    if (record->flags & TIMED) {
        int two = record->phase == RETURN || record->phase == PENDING;
        if (record->end - record->body < (two ? 16 : 8)) return 0;
        record->time = load64(record->body);
        if (two) record->duration = load64(record->body + 8);
        record->body += two ? 16 : 8;
    }
    return record->end - record->body >= body_sizes[record->phase];
}

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

IMPORT("stderr", "get") uint32_t stderr_get(void);
IMPORT("stderr", "write")
void stderr_write(uint32_t stream, const char *bytes, uint32_t size, uint32_t *result);
IMPORT("stderr", "drop") void stderr_drop(uint32_t stream);
IMPORT("stderr", "drop-error") void stderr_drop_error(uint32_t error);

enum { MAX_WRITE = 4096 }; /* what blocking-write-and-flush takes at most */

static uint32_t stream, has_stream;

static void start_line(void) { put_text("WCM1 "); }

static void end_line(char *start) {
    (void)start;
    put('\n');
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

/* The end of the last whole line in the first MAX_WRITE bytes, else all of them. */
static uint32_t chunk_of(const char *bytes, uint32_t size) {
    if (size <= MAX_WRITE) return size;
    for (uint32_t n = MAX_WRITE; n; n--)
        if (bytes[n - 1] == '\n') return n;
    return MAX_WRITE;
}

static void flush(void) {
    const char *at = (const char *)text_at();
    if (!has_stream && text.at != at) {
        stream = stderr_get();
        has_stream = 1;
    }
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
        if (!parse_record(&record, p, size) || !put_line(&record, instance)) lost++;
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

/* A block of `chunks` times the header's size; what is beyond the payload is anything. */
EXPORT("emit") uint32_t emit(const uint8_t *block, uint32_t chunks) {
    if (!chunks || load32(block) != BLOCK_MAGIC) return 0;
    uint32_t instance = load32(block + 8), payload = load32(block + 20);
    uint32_t room = (chunks - 1) * BLOCK_HEADER;
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
EXPORT("cabi_realloc")
uint32_t cabi_realloc(uint32_t old, uint32_t old_size, uint32_t align, uint32_t size) {
    (void)old, (void)old_size, (void)align;
    uint32_t at = text_at() + SINK_OUT;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE, want = (uint64_t)at + size;
    /* When the host refuses to grow, it will find the block out of bounds itself. */
    if (want > have) __builtin_wasm_memory_grow(0, (uint32_t)((want - have + PAGE - 1) / PAGE));
    return at;
}
