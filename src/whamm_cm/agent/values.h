/* The site table, and values of its types as JSON. */
#ifndef WHAMM_VALUES_H
#define WHAMM_VALUES_H

#include <stdint.h>

#include "text.h"

enum {
    PAGE = 65536,
    SINK_OUT = 128 << 10,
    SINK_INPUT = 64 << 10,
    MAX_TEXT = 64 << 10, /* of one record in JSON */
    FLUSH_AT = 32 << 10,
    MAX_DEPTH = 64,
    BLOCK_MAGIC = 0x324D4357,
    FINAL = 1, START_BLOCK = 2, GOES_ON = 4,
    BLOCK_HEADER = 32,
    RECORD_HEADER = 16,
    MAX_RECORD = 16384,
    TIMED = 1, BAD = 2, BIG = 4, RAW = 8, TASK = 8,
    SELF = 1, COPIES = 8,
    SITE_VARIABLE = 7, SITE_PRINT = 8, SITE_COUNTED = 9,
};
#define NONE 0xFFFFFFFFu
#define BAD_POINTER 0xFFFFFFFFu
#define REDACTED 0xFFFFFFFEu
#define SECRET 0xFFFFFFFDu

/* END is no record of a block: it is what the sink says of one that is FINAL. */
enum Phase { CALL, RETURN, REPORT, LOST, PENDING, PRINT, START, CANCELLED, EXIT, STARTED, RESUMED,
             HANDLE, PART, END };
enum Kind {
    BOOL, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, CHAR, STRING, LIST, FIXED_LIST, MAP,
    RECORD, TUPLE, VARIANT, ENUM, FLAGS, OPTION, RESULT, OWN, BORROW, STREAM, FUTURE, ERROR_CONTEXT,
};

typedef struct {
    uint32_t magic, version, n_sites, sites, n_types, types, strings, total_size;
    uint32_t n_names, names, sample;
} Table;
typedef struct {
    uint32_t kind, size, align, flags, a, b, count, extra;
} Node;
typedef struct {
    uint32_t name, length, type, offset;
} Entry;
typedef struct {
    uint32_t kind, edge, component[2], interface[2], version[2], func[2], params, result, flags;
    uint32_t variable, inner_interface[2], inner_version[2], inner_func[2], handles[2][2];
} Site;
/* `cells` are columns fid, pc, number of the name; 0: none. */
typedef struct {
    uint32_t type[2], n_cells, cells, pad[4];
} Variable;
/* Where a column begins, and the bytes of a number. */
typedef struct {
    uint32_t at, width;
} Column;
/* By function: index, number of the name, how many counters; by counter: how many cells; by cell:
 * the site of its variable, and how far it is from the function's one before (agent/counted.py). */
typedef struct {
    uint32_t n_functions, n_counters, n_cells;
    Column fids, numbers, sizes, counts, rows, steps;
    uint32_t pad;
} Counted;
/* `fid`, `pc` and `fname`, a number, say where it is if it is `placed`. */
typedef struct {
    uint32_t phase, flags, site_number, placed, fid, pc, fname, task;
    uint64_t call, time, duration;
    const uint8_t *body, *end;
} Record;

extern uint8_t __heap_base;

static uint32_t align16(uint32_t p) { return (p + 15) & ~15u; }
/* What the weaver says of this sink, in front of the site table. */
typedef struct {
    char nonce[12];
    uint32_t json, show_secrets, near, pad[2];
} Settings;

static const Settings *settings(void) { return (const Settings *)align16((uint32_t)&__heap_base); }
static uint32_t table_at(void) { return (uint32_t)(settings() + 1); }
static const Table *table(void) { return (const Table *)table_at(); }
static uint32_t text_at(void) { return align16(table_at() + table()->total_size); }
static const Node *node_of(uint32_t number) {
    return (const Node *)(table_at() + table()->types) + number;
}
static const Entry *entries_of(const Node *node) { return (const Entry *)(table_at() + node->extra); }
static const uint32_t *words_at(uint32_t offset) { return (const uint32_t *)(table_at() + offset); }
static const Site *site_of(const Record *record) {
    return (const Site *)(table_at() + table()->sites) + record->site_number;
}
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
    if (kept < SECRET) return 0;
    if (kept == BAD_POINTER) {
        put_bad(address);
    } else {
        if (kept == SECRET) take(next_kept());
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

#endif
