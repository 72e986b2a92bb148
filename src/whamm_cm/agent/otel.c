/* The sink that tells a host's wasi:otel of each call as a span, and of what scripts report as logs.
 *
 * It lives in a component of its own beside the traced ones and gets the same blocks as sink.c.  Types
 * are those of wasi:otel@0.2.0-rc.2, laid out as the canonical ABI has them, which for these is as C
 * has them.  A span is told when its call has returned, with what it is below of: the innermost call
 * that is open in its task, else the call from another component that is open, else what the host says.
 *
 * Nothing may trap here: what does not fit is not told.
 *
 * Memory: stack, data, settings at align16(__heap_base), site table, text, the block received; behind
 * it what the host hands over.
 */
#include <stdint.h>

#include "lines.h"
#include "secrets.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(name)))

typedef struct {
    const char *at;
    uint32_t size;
} String;
typedef struct {
    uint64_t seconds;
    uint32_t nanoseconds;
} Datetime;
typedef struct {
    String key, value;
} KeyValue;
typedef struct {
    uint8_t some;
    String value;
} Text;
typedef struct {
    String name;
    Text version, schema;
    const KeyValue *attributes;
    uint32_t n_attributes;
} Scope;
typedef struct {
    String trace, span;
    uint8_t flags, remote;
    const void *state;
    uint32_t n_state;
} Context;
typedef struct {
    Context context;
    String parent;
    uint8_t kind;
    String name;
    Datetime start, end;
    const KeyValue *attributes;
    uint32_t n_attributes;
    const void *events;
    uint32_t n_events;
    const void *links;
    uint32_t n_links;
    uint8_t status;
    String message;
    Scope scope;
    uint32_t dropped[3];
} Span;
typedef struct {
    struct {
        uint8_t some;
        Datetime value;
    } timestamp, observed;
    Text severity_text;
    uint8_t has_severity, severity;
    Text body;
    struct {
        uint8_t some;
        const KeyValue *at;
        uint32_t size;
    } attributes;
    Text event;
    struct {
        uint8_t some;
        const KeyValue *attributes;
        uint32_t n_attributes;
        Text schema;
    } resource;
    struct {
        uint8_t some;
        Scope value;
    } scope;
    Text trace, span;
    uint8_t has_flags, flags;
} Log;

IMPORT("seed") void facts_seed(uint64_t seed[2]);
IMPORT("wall") void facts_wall(uint64_t wall[2]);
IMPORT("now") uint64_t facts_now(void);
IMPORT("context") void host_context(Context *found);
/* What the host has handed over is not needed any more. */
IMPORT("reset") void host_reset(void);
IMPORT("on-start")
void host_start(const char *trace, uint32_t trace_size, const char *span, uint32_t span_size, uint32_t flags,
                uint32_t remote, const void *state, uint32_t n_state);
IMPORT("on-end") void host_end(const Span *span);
IMPORT("on-emit") void host_emit(const Log *log);

enum { TRACE = 32, SPAN = 16, OPEN = 256, ERROR_STATUS = 2, UNSET = 0 };
enum { CLIENT, SERVER, PRODUCER, CONSUMER, INTERNAL };
enum { LOWER = 0, LIFT = 1, ASYNC = 2, SEVERITY_INFO = 9 };
enum { IMPORT_EDGE = 0, EXPORT_EDGE = 1, INNER_EDGE = 2 };

/* A call that has not returned.  `trace` is that of the request it is part of.  `later`: it will return
 * when others have been made, which are not below it; `ended`: it has, and its task goes on. */
typedef struct {
    uint32_t used, later, ended, instance, task, site;
    uint64_t call, began;
    char trace[TRACE], span[SPAN], parent[SPAN];
    uint32_t has_parent, flags, kind;
} Open;

static Open open[OPEN];
static uint32_t n_open; /* entries in use are below */
static uint64_t random_state, offset_ns; /* from the monotonic clock to the wall clock */
static uint32_t last_instance, begun;

static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Hexadecimal digits that are not all zero. */
static void draw(char *to, uint32_t size) {
    for (uint32_t i = 0; i < size; i += 16) {
        uint64_t word = next_random() | 1;
        for (uint32_t k = 0; k < 16; k++) to[i + k] = "0123456789abcdef"[word >> 4 * k & 15];
    }
}

static void begin(void) {
    uint64_t seed[2] = {0, 0}, wall[2] = {0, 0};
    if (begun) return;
    begun = 1;
    facts_seed(seed);
    facts_wall(wall);
    uint64_t now = facts_now();
    offset_ns = wall[0] * 1000000000u + (uint32_t)wall[1] - now;
    random_state = seed[0] ^ seed[1] ^ now;
    draw(run_name, sizeof run_name);
}

static Datetime when(uint64_t ns) {
    ns += offset_ns;
    return (Datetime){ns / 1000000000u, (uint32_t)(ns % 1000000000u)};
}

static const Site *site_at(uint32_t number) {
    return (const Site *)(table_at() + table()->sites) + number;
}

/* Whether the text there begins with `with`, or is that where it is to be `all`. */
static int is_text(uint32_t at, uint32_t size, const char *with, int all) {
    uint32_t n = length_of(with);
    return size >= n && !(all && size != n) && same_bytes((const uint8_t *)at, with, n);
}

/* Of a call as such, as in trace/semconv.py: what goes to a service of the host is a client's. */
static uint32_t kind_of(const Site *site, int outermost) {
    uint32_t at = table_at() + site->interface[0], size = site->interface[1], func = table_at() + site->func[0];
    int message = is_text(at, size, "wasmcloud:messaging/", 0) || is_text(at, size, "wasi:messaging/", 0);
    if (site->edge == EXPORT_EDGE && outermost) return message ? CONSUMER : SERVER;
    if (site->edge != IMPORT_EDGE || (site->func[1] > 5 && is_text(func + site->func[1] - 5, 5, ".drop", 1)))
        return INTERNAL;
    if (message) return PRODUCER;
    return is_text(at, size, "wasi:keyvalue/", 0) || is_text(at, size, "wasmcloud:keyvalue/", 0) ? CLIENT : INTERNAL;
}

/* --- spans ------------------------------------------------------------------------------------ */

static Open *newest(uint32_t instance, uint32_t task) {
    for (uint32_t i = n_open; i; i--) {
        Open *one = &open[i - 1];
        if (one->used && !one->later && one->instance == instance && one->task == task) return one;
    }
    return 0;
}

static int same_name(const Site *a, const Site *b) {
    const char *q = (const char *)(table_at() + b->func[0]);
    return a->func[1] == b->func[1] && same_bytes((const uint8_t *)(table_at() + a->func[0]), q, a->func[1]);
}

/* A call into another component of ours that has not returned.  An export of the root may be called
 * by the host as well: then its name has to be that. */
static Open *crossing(const Site *callee) {
    for (uint32_t i = n_open; i; i--) {
        const Open *one = &open[i - 1];
        const Site *site = site_at(one->site);
        if (!one->used || one->later || site->edge != INNER_EDGE || site->kind != LOWER) continue;
        if (callee->edge != EXPORT_EDGE || same_name(site, callee)) return &open[i - 1];
    }
    return 0;
}

static void inherit(Open *one, const Open *parent) {
    __builtin_memcpy(one->trace, parent->trace, TRACE);
    __builtin_memcpy(one->parent, parent->span, SPAN);
    one->flags = parent->flags;
    one->has_parent = 1;
}

/* What the host is at; where it knows of nothing, a trace begins here. */
static void ask_host(Open *one) {
    Context found = {0};
    host_reset();
    host_context(&found);
    if (found.trace.size == TRACE && found.span.size == SPAN) {
        __builtin_memcpy(one->trace, found.trace.at, TRACE);
        __builtin_memcpy(one->parent, found.span.at, SPAN);
        one->has_parent = 1;
        one->flags = found.flags & 1;
        return;
    }
    draw(one->trace, TRACE);
    one->has_parent = 0;
    one->flags = 1;
}

static Open *free_entry(void) {
    for (uint32_t i = 0; i < OPEN; i++)
        if (!open[i].used) {
            if (i >= n_open) n_open = i + 1;
            return &open[i];
        }
    return 0;
}

static void opened(const Record *record, uint32_t instance) {
    const Site *site = site_of(record);
    Open *parent = newest(instance, record->task), *one;
    int outermost = !parent;
    if (outermost) parent = crossing(site);
    /* Entries are in the order of the calls, so that the newest is the innermost. */
    while (n_open && !open[n_open - 1].used) n_open--;
    one = n_open < OPEN ? &open[n_open++] : free_entry();
    if (!one) return;
    *one = (Open){.used = 1, .instance = instance, .task = record->task, .site = record->site_number};
    one->kind = kind_of(site, outermost && !parent);
    one->call = record->call;
    one->began = record->time;
    draw(one->span, SPAN);
    if (parent)
        inherit(one, parent);
    else
        ask_host(one);
    host_start(one->trace, TRACE, one->span, SPAN, one->flags, 0, 0, 0);
}

static Open *find(uint32_t instance, uint64_t call) {
    for (uint32_t i = n_open; i; i--)
        if (open[i - 1].used && open[i - 1].instance == instance && open[i - 1].call == call) return &open[i - 1];
    return 0;
}

static void free_one(Open *one) {
    one->used = 0;
    while (n_open && !open[n_open - 1].used) n_open--;
}

static const char *const edges[] = {"import", "export", "inner", "builtin"};
static KeyValue attributes[8];
static uint32_t n_attributes;

static String since(const char *from) { return (String){from, (uint32_t)(text.at - from)}; }

static String literal(const char *s) { return (String){s, length_of(s)}; }

/* A value is JSON. */
static void about_text(const char *key, String value) {
    const char *from = text.at;
    if (!value.size) return;
    put_name((const uint8_t *)value.at, value.size);
    attributes[n_attributes++] = (KeyValue){literal(key), since(from)};
}

static void about(const char *key, const uint32_t span[2]) {
    about_text(key, (String){(const char *)(table_at() + span[0]), span[1]});
}

static void about_number(const char *key, uint64_t value) {
    const char *from = text.at;
    if (!value) return;
    put_unsigned(value);
    attributes[n_attributes++] = (KeyValue){literal(key), since(from)};
}

static String name_of(const Site *site) {
    const char *from = text.at;
    if (site->interface[1]) {
        put_bytes((const void *)(table_at() + site->interface[0]), site->interface[1]);
        put('#');
    }
    put_bytes((const void *)(table_at() + site->func[0]), site->func[1]);
    return since(from);
}

/* What is in {"error":…} of a result; nothing where that is no failure, as for trace/semconv.py. */
static String payload_of(String result) {
    static const char *const none[] = {"{\"closed\":null}", "\"would-block\""};
    uint32_t head = sizeof "{\"error\":" - 1;
    if (result.size <= head + 1) return result;
    String found = {result.at + head, result.size - head - 1};
    for (uint32_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (is_text((uint32_t)found.at, found.size, none[i], 1)) found.size = 0;
    return found;
}

/* The error that a call has returned, or "". */
static String error_of(const Record *record, const Site *site) {
    const char *from = text.at;
    if (record->phase == CANCELLED) {
        put_text("cancelled");
        return since(from);
    }
    if (site->result == NONE || record->flags & (BAD | BIG) || site->flags & COPIES) return since(from);
    const Node *node = node_of(site->result);
    if (node->kind != RESULT || record->body >= record->end || !record->body[0]) return since(from);
    const uint8_t *image = open_image(record, node, site);
    in.broken = 0;
    if (image) put_value(node, image, 1);
    if (in.broken || !image || text.overflow) {
        text.at = (char *)from;
        text.overflow = 0;
        put_text("error");
        return since(from);
    }
    return payload_of(since(from));
}

static void closed(const Record *record, uint32_t instance) {
    const Site *site = site_of(record);
    Open *one = find(instance, record->call);
    if (!one || one->ended) return;
    Span span = {.status = UNSET, .scope = {.name = literal("whamm-cm")}};
    span.context = (Context){{one->trace, TRACE}, {one->span, SPAN}, (uint8_t)one->flags, 0, 0, 0};
    span.parent = (String){one->parent, one->has_parent ? SPAN : 0};
    span.kind = (uint8_t)one->kind;
    span.name = name_of(site);
    span.start = when(one->began);
    span.end = when(record->time);
    n_attributes = 0;
    about_text("code.function.name", span.name);
    about_text("whamm_cm.edge", literal(edges[site->edge & 3]));
    about("whamm_cm.component", site->component);
    about("whamm_cm.interface", site->interface);
    about("whamm_cm.version", site->version);
    about_number("whamm_cm.instance", instance);
    about_number("whamm_cm.task", one->task);
    span.attributes = attributes;
    span.n_attributes = n_attributes;
    span.message = error_of(record, site);
    if (span.message.size) span.status = ERROR_STATUS;
    if (!text.overflow) host_end(&span);
    one->ended = 1;
    if (site->kind != LIFT || !(site->flags & ASYNC)) free_one(one);
}

/* The call that the record is of returns only later, or its task is over. */
static void changed(const Record *record, uint32_t instance) {
    Open *one = find(instance, record->call);
    if (!one) return;
    if (record->phase == EXIT)
        free_one(one);
    else
        one->later = site_of(record)->kind != LIFT;
}

/* --- logs ------------------------------------------------------------------------------------- */

/* What a script prints and what is counted: the record as it would be in a log. */
static void told(const Record *record, uint32_t instance) {
    const char *from = text.at;
    put_json(record, instance, 1);
    next_seq++;
    if (text.overflow || in.broken) return;
    Log log = {.has_severity = 1, .severity = SEVERITY_INFO, .body = {1, since(from)}};
    log.timestamp.some = 1;
    log.timestamp.value = when(facts_now());
    log.observed = log.timestamp;
    log.event = (Text){1, literal(record->phase == PRINT ? "whamm_cm.print" : "whamm_cm.report")};
    log.scope.some = 1;
    log.scope.value = (Scope){.name = literal("whamm-cm")};
    const Open *inside = n_open ? &open[n_open - 1] : 0;
    if (inside && inside->used && inside->instance == instance) {
        log.trace = (Text){1, {inside->trace, TRACE}};
        log.span = (Text){1, {inside->span, SPAN}};
        log.has_flags = 1;
        log.flags = (uint8_t)inside->flags;
    }
    host_emit(&log);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void tell(const Record *record, uint32_t instance) {
    text.at = (char *)text_at();
    text.end = text.at + MAX_TEXT;
    text.overflow = 0;
    in.broken = 0;
    if (record->phase == CALL)
        opened(record, instance);
    else if (record->phase == RETURN || record->phase == CANCELLED)
        closed(record, instance);
    else if (record->phase == PENDING || record->phase == EXIT)
        changed(record, instance);
    else if (record->phase == PRINT || (record->phase == REPORT && !is_counted(record)))
        told(record, instance);
}

static uint32_t receive(const uint8_t *block, uint32_t size) {
    if (size < BLOCK_HEADER || load32(block) != BLOCK_MAGIC) return 0;
    uint32_t instance = load32(block + 8), payload = load32(block + 20);
    uint32_t room = size - BLOCK_HEADER;
    if (payload > room) payload = room;
    if (!instance && payload) instance = ++last_instance;
    if (!payload) return instance;
    if (!settings()->show_secrets) mask_block((uint8_t *)block + BLOCK_HEADER, payload);
    begin();
    const uint8_t *p = block + BLOCK_HEADER, *end = p + payload;
    while (end - p >= RECORD_HEADER) {
        uint32_t bytes = load32(p);
        Record record = {0};
        if (bytes < RECORD_HEADER || bytes > (uint32_t)(end - p)) break;
        if (parse_record(&record, p, bytes)) tell(&record, instance);
        p += bytes;
    }
    return instance;
}

/* A block of `chunks` times the header's size. */
EXPORT("emit") uint32_t emit(const uint8_t *block, uint32_t chunks) {
    return receive(block, chunks * BLOCK_HEADER);
}

/* Every block lies in the same place, above the text; it is gone before the next one comes. */
EXPORT("cabi_realloc")
uint32_t cabi_realloc(uint32_t old, uint32_t old_size, uint32_t align, uint32_t size) {
    (void)old, (void)old_size, (void)align, (void)size;
    return text_at() + SINK_OUT; /* blocks are no larger than what is there (layout.py) */
}
