/* Records as JSON objects, the twin of trace/decode.py. */
#ifndef WHAMM_LINES_H
#define WHAMM_LINES_H

#include "values.h"

/* State of a subtask that was cancelled; the other is 4. */
enum { BEFORE_STARTED = 3 };

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

static void put_result(const Record *record, const Site *site, const char *key) {
    const Node *node = node_of(site->result);
    const uint8_t *image = open_image(record, node, site);
    if (!image) return;
    if (!(site->flags & COPIES)) {
        put_key(key);
        put_value(node, image, 1);
        return;
    }
    const Entry *field = entries_of(node);
    for (uint32_t i = 0; i < node->count; i++) {
        put(',');
        put_span(field[i].name, field[i].length);
        put(':');
        put_value(node_of(field[i].type), image + field[i].offset, 2);
    }
}

static void put_part(int *some, const char *key, const uint32_t span[2]) {
    if (!span[1]) return;
    put_text(*some ? ",\"" : "{\"");
    put_text(key);
    put_text("\":");
    put_span(span[0], span[1]);
    *some = 1;
}

/* The names the component itself uses, where they are others. */
static void put_inner(const Site *site) {
    int some = 0;
    if (!(site->inner_interface[1] | site->inner_version[1] | site->inner_func[1])) return;
    put_key("inner");
    put_part(&some, "interface", site->inner_interface);
    put_part(&some, "version", site->inner_version);
    put_part(&some, "func", site->inner_func);
    put('}');
}

/* The table has them as JSON. */
static void put_handles(const uint32_t span[2]) {
    if (!span[1]) return;
    put_key("handles");
    put_bytes((const void *)(table_at() + span[0]), span[1]);
}

static void put_site(const Record *record, int with_values) {
    static const char *const edges[] = {"import", "export", "inner", "builtin"};
    const Site *site = site_of(record);
    put_text(",\"edge\":\"");
    put_text(edges[site->edge & 3]);
    put('"');
    put_optional("component", site->component);
    put_optional("interface", site->interface);
    put_optional("version", site->version);
    put_key("func");
    put_span(site->func[0], site->func[1]);
    put_inner(site);
    if (record->phase == REPORT) put_number("count", load64(record->body));
    if (record->phase == PENDING) {
        put_text(",\"pending\":true");
        put_number("status", load32(record->body));
    }
    if (record->phase == CANCELLED)
        put_text(load32(record->body) == BEFORE_STARTED ? ",\"cancelled\":\"before-started\""
                                                        : ",\"cancelled\":\"before-returned\"");
    if (record->flags & (BAD | BIG)) with_values = 0;
    int handle = record->phase == HANDLE, dropped = handle && site->params != NONE;
    if (with_values && (record->phase == CALL || dropped) && site->params != NONE)
        put_args(record, site);
    if (with_values && (record->phase == RETURN || (handle && !dropped)) && site->result != NONE)
        put_result(record, site, "result");
    if (with_values && (record->phase <= RETURN || handle))
        put_handles(site->handles[record->phase == RETURN || (handle && !dropped)]);
}

static void put_place(const Record *record) {
    if (!record->placed) return;
    if (record->fid != NONE) put_number("fid", record->fid);
    put_optional("fname", words_at(table()->names) + 2 * record->fname);
    if (record->pc != NONE) put_number("pc", record->pc);
}

/* Notes where a variable's cell is; a script global has no columns.  0 if there is no such cell. */
static int find_place(Record *record) {
    const Variable *variable = (const Variable *)words_at(site_of(record)->variable);
    if (record->call >= variable->n_cells) return 0;
    if (!variable->cells) return 1;
    const uint32_t *column = words_at(variable->cells) + (uint32_t)record->call;
    record->placed = 1;
    record->fid = column[0];
    record->pc = column[variable->n_cells];
    record->fname = column[2 * variable->n_cells];
    return 1;
}

/* Whether a map has lost entries: where a list has its address, a map has that. */
static int is_anew(const Record *record, const Variable *variable) {
    static const uint32_t map = 0x3C70616D; /* map< */
    if (record->flags & (BAD | BIG) || record->end - record->body < 8) return 0;
    return variable->type[1] > 4 && load32((const uint8_t *)table_at() + variable->type[0]) == map &&
           load32(record->body) == 1;
}

/* A value of a script's variable, or what it prints. */
static void put_script(const Record *record, const Site *site, int with_values) {
    const Variable *variable = (const Variable *)words_at(site->variable);
    int print = site->kind == SITE_PRINT;
    put_optional("script", site->version);
    if (!print) put_optional("var", site->func);
    put_optional("probe", site->interface);
    if (!print) {
        put_optional("module", site->component);
        put_place(record);
        put_key("type");
        put_span(variable->type[0], variable->type[1]);
        if (is_anew(record, variable)) put_text(",\"anew\":true");
    }
    if (with_values && !(record->flags & (BAD | BIG)))
        put_result(record, site, print ? "text" : "value");
    if (record->flags & RAW) put_text(",\"raw\":true");
}

static int of_script(const Site *site) { return site->kind >= SITE_VARIABLE; }

static uint32_t next_seq;
static char run_name[16];

/* Whether it is about one call. */
static int of_call(uint32_t phase) {
    return phase <= RETURN || phase == PENDING || (phase >= CANCELLED && phase <= RESUMED);
}

/* Whether it may say which task it is of. */
static int framed(uint32_t phase) { return of_call(phase) || phase == HANDLE; }

/* Whether it has a duration. */
static int lasted(uint32_t phase) { return of_call(phase) && phase != CALL; }

static void put_json(const Record *record, uint32_t instance, int with_values) {
    static const char *const phases[] = {"call",  "return", "report",  "lost",    "return", "print",
                                         "start", "return", "exit", "started", "resumed",
                                         "handle", "", "end"};
    int timed = record->flags & TIMED, phase = (int)record->phase;
    uint32_t flags = record->flags | (with_values ? 0 : BIG);
    put_text("{\"v\":2,\"run\":\"");
    put_bytes(run_name, sizeof run_name);
    put('"');
    put_number("seq", next_seq);
    if (timed) put_number("t_ns", record->time);
    if (phase == START && load64(record->body)) put_number("wall_ns", load64(record->body));
    if (instance) put_number("instance", instance);
    if (of_call(record->phase)) put_number("call", record->call);
    if (record->task) put_number("task", record->task);
    put_text(",\"phase\":\"");
    put_text(phases[record->phase]);
    put('"');
#ifdef SAMPLED
    if (phase == START) put_number("sample", table()->sample);
#endif
    if (phase == LOST) {
        put_number("lost", load64(record->body));
        put_text(",\"why\":\"buffer\"");
    } else if (phase != START && phase != END) {
        if (of_script(site_of(record)))
            put_script(record, site_of(record), with_values);
        else
            put_site(record, with_values);
        if (flags & BAD) put_text(",\"bad\":true");
        if (flags & BIG) put_text(",\"big\":true");
    }
    if (timed && lasted(record->phase)) put_number("dur_ns", record->duration);
    put('}');
}

/* Reads the fixed part of a record of `size` bytes; 0 if it makes no sense. */
static int parse_record(Record *record, const uint8_t *p, uint32_t size) {
    static const uint8_t body_sizes[] = {0, 0, 8, 8, 4, 0, 8, 4, 0, 0, 0, 0};
    uint32_t word = load32(p + 4);
    record->phase = word & 15;
    record->flags = word >> 4 & 15;
    record->site_number = word >> 8;
    record->call = load64(p + 8);
    record->body = p + RECORD_HEADER;
    record->end = p + size;
    uint32_t known = TIMED | BAD | BIG | (record->phase == PRINT ? RAW : 0), script = 0;
    if (framed(record->phase)) known |= TASK;
    if (record->phase > HANDLE || record->flags & ~known) return 0;
    if (record->phase != LOST && record->phase != START) {
        if (record->site_number >= table()->n_sites) return 0;
        const Site *site = site_of(record);
        script = of_script(site);
        uint32_t wanted = site->kind == SITE_PRINT ? PRINT : REPORT;
        if (script ? record->phase != wanted : record->phase == PRINT) return 0;
    }
    if (record->flags & TIMED) {
        int two = lasted(record->phase);
        if (record->end - record->body < (two ? 16 : 8)) return 0;
        record->time = load64(record->body);
        if (two) record->duration = load64(record->body + 8);
        record->body += two ? 16 : 8;
    }
    if (record->flags & TASK && framed(record->phase)) {
        if (record->end - record->body < 4) return 0;
        record->task = load32(record->body);
        record->body += 4;
    }
    if (script && site_of(record)->kind == SITE_VARIABLE) return find_place(record);
    return script || record->end - record->body >= body_sizes[record->phase];
}

/* --- counters --------------------------------------------------------------------------------- */

/* A counter, its function, how many of that one's counters are left with it, and the cell that is
 * its first.  Counters are reported in order, so it mostly goes on from where it was. */
static struct {
    const Counted *of;
    uint32_t function, left, counter, cell, pc;
} counted;

static uint32_t number_of_column(Column column, uint32_t index) {
    const uint8_t *at = (const uint8_t *)(table_at() + column.at) + index * column.width;
    return (uint32_t)load_sized(at, column.width);
}

static void next_function(void) {
    while (!counted.left && counted.function + 1 < counted.of->n_functions) {
        counted.left = number_of_column(counted.of->sizes, ++counted.function);
        counted.pc = 0;
    }
}

/* The pc of the next cell. */
static uint32_t next_pc(void) {
    uint32_t step = number_of_column(counted.of->steps, counted.cell++);
    counted.pc += step & 1 ? ~(step >> 1) : step >> 1;
    return counted.pc;
}

static void seek_counter(const Counted *of, uint32_t counter) {
    if (counted.of != of || counter < counted.counter) {
        __builtin_memset(&counted, 0, sizeof counted);
        counted.of = of;
        counted.left = number_of_column(of->sizes, 0);
        next_function();
    }
    for (; counted.counter < counter; counted.counter++) {
        for (uint32_t n = number_of_column(of->counts, counted.counter); n; n--) next_pc();
        counted.left--;
        next_function();
    }
}

/* A number of a body that ends there; sets `in.broken` where it is none. */
static uint64_t take_leb(const uint8_t **at, const uint8_t *end) {
    uint64_t value = 0;
    for (uint32_t shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    in.broken = 1;
    return 0;
}

static int is_counted(const Record *record) {
    return record->phase == REPORT && site_of(record)->kind == SITE_COUNTED;
}

/* The record of the next cell of a counter that is `value`. */
static void put_cell(Record *record, const uint64_t *value) {
    record->site_number = number_of_column(counted.of->rows, counted.cell);
    record->fid = number_of_column(counted.of->fids, counted.function);
    record->fname = number_of_column(counted.of->numbers, counted.function);
    record->pc = next_pc();
    record->placed = 1;
    record->body = (const uint8_t *)value;
    record->end = (const uint8_t *)(value + 1);
}

#endif
