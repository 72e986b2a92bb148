/* Writing code anew: other indices, templates put in between, ranges left out. */

enum { MAP_SHIFT = 1, MAP_TABLE = 2 };
typedef struct {
    u32 kind, first, by; /* by: signed; of a table: address and length */
} Map;

static Map maps[SPACES];
static u32 mapped; /* whether any space changes */
static u8 *o;
static const u8 *kept; /* what of the input is written out up to here */
static int changed;

static inline u8 *space_for(u32 n) {
    more(o, n + 16);
    return o;
}

static void copy(const u8 *from, u32 n) {
    space_for(n);
    __builtin_memcpy(o, from, n);
    o += n;
}

static void flush(const u8 *upto) {
    if (upto > kept) copy(kept, (u32)(upto - kept));
    kept = upto;
}

static u32 put_unsigned(u8 *to, u64 value, u32 width) {
    u32 n = 0;
    for (;;) {
        u8 byte = value & 0x7f;
        value >>= 7;
        n++;
        if (value || n < width) {
            to[n - 1] = byte | 0x80;
        } else {
            to[n - 1] = byte;
            return n;
        }
    }
}

static u32 put_signed(u8 *to, long long value, u32 width) {
    u32 n = 0;
    for (;;) {
        u8 byte = value & 0x7f;
        value >>= 7;
        n++;
        if (((value == 0 && !(byte & 0x40)) || (value == -1 && byte & 0x40)) && n >= width) {
            to[n - 1] = byte;
            return n;
        }
        to[n - 1] = byte | 0x80;
    }
}

static int map_index(u32 space, u32 value, long long *out, const u8 *at) {
    const Map *map = &maps[space];
    if (map->kind == MAP_TABLE) {
        if (value >= map->by) return fail(M_BOUNDS, W_TYPE + space - 1, 0, 0, at);
        *out = ((const u32 *)map->first)[value];
    } else {
        *out = map->kind && value >= map->first ? (long long)value + (int)map->by : value;
    }
    return 1;
}

static int moved(const u8 *start, u32 space, u32 value, int is_signed) {
    long long to;
    if (!map_index(space, value, &to, start)) return 0;
    if (to == value) return 1;
    flush(start);
    space_for(8);
    o += is_signed ? put_signed(o, to, (u32)(p - start)) : put_unsigned(o, (u64)to, (u32)(p - start));
    kept = p;
    changed = 1;
    return 1;
}

static int moved_memarg(const u8 *start, u32 flags) {
    long long to;
    if (maps[S_MEMORY].kind == MAP_TABLE && !maps[S_MEMORY].by) return 1;
    if (!map_index(S_MEMORY, 0, &to, start)) return 0;
    if (!to) return 1;
    flush(start);
    space_for(16);
    o += put_unsigned(o, flags | 0x40, (u32)(p - start));
    o += put_unsigned(o, (u64)to, 1);
    kept = p;
    changed = 1;
    return 1;
}

/* Last words: in front of each instruction of the row "ending" goes a template, if there is one. */
typedef struct {
    const u32 *parts;
    u32 arguments;
} Template;

static const Template *last_words;
static u32 ending, endings;
static const u32 *insert(const Template *template, const u32 *arguments);

/* Write the input's bytes up to "upto", from where p is; nothing but indices changes, and last
   words are put in. */
static int pass(const u8 *upto) {
    if (!mapped && !last_words) {
        p = upto;
        flush(upto);
        return 1;
    }
    end = upto;
    for (;;) {
        skip_quickly();
        if (p >= upto) break;
        const u8 *at = p;
        if (!step()) return 0;
        if (!last_words || row_number != ending) continue;
        flush(at);
        insert(last_words, 0);
        changed = 1;
        endings++;
    }
    flush(upto);
    return 1;
}

/* Templates: how many arguments each takes, and parts: (PART_BYTES, n, bytes padded to words),
   (PART_..., which argument).  Spots are told from the first counter's on, "spot_base". */
enum {
    PART_END, PART_BYTES, PART_U32, PART_I32, PART_I64, PART_F32, PART_F64, PART_SPOT_U32,
    PART_SPOT_I32
};
static u32 spot_base;

static const u32 *insert(const Template *template, const u32 *arguments) {
    for (const u32 *part = template->parts; *part != PART_END;) {
        u32 kind = *part++;
        if (kind == PART_BYTES) {
            u32 n = *part++;
            copy((const u8 *)part, n);
            part += (n + 3) / 4;
            continue;
        }
        const u32 *argument = arguments + *part++;
        space_for(16);
        if (kind == PART_U32) {
            o += put_unsigned(o, *argument, 1);
        } else if (kind == PART_I32) {
            o += put_signed(o, (int)*argument, 1);
        } else if (kind == PART_I64) {
            o += put_signed(o, (long long)((u64)argument[1] << 32 | argument[0]), 1);
        } else if (kind == PART_SPOT_U32) {
            o += put_unsigned(o, *argument + spot_base, 1);
        } else if (kind == PART_SPOT_I32) {
            o += put_signed(o, (int)(*argument + spot_base), 1);
        } else {
            u32 n = kind == PART_F32 ? 4 : 8;
            __builtin_memcpy(o, argument, n);
            o += n;
        }
    }
    return arguments + template->arguments;
}

/* What to do in a function, in order. */
enum { DO_END, DO_INSERT, DO_GO, DO_STOP };

static Template *templates;
static u32 moved_by; /* what makes an address of a place in the input */

/* DO_INSERT pos template arguments…: a template in front of what is at pos.
   DO_STOP pos: the input goes on to pos and no further.  DO_GO pos: it goes on there. */
static int edited(const u32 *todo) {
    for (; *todo != DO_END;) {
        u32 what = *todo++;
        const u8 *pos = (const u8 *)(*todo++ + moved_by);
        if (what == DO_GO) {
            p = kept = pos;
            continue;
        }
        if (!pass(pos)) return 0;
        if (what == DO_INSERT) {
            const Template *template = &templates[*todo++];
            todo = insert(template, todo);
        }
    }
    return 1;
}

typedef struct {
    u32 entry, start, code, end; /* in the input: where its entry, locals, code begin and end */
    u32 todo;                    /* 0: nothing but indices */
    u32 locals, locals_size;     /* instead of the input's, if there are any */
    u32 groups, declared; /* where the groups of its locals begin; how many locals they are */
} Function;

static int entry(Function *function, const u8 *stop, u32 by) {
    u32 size, groups, count;
    u64 declared = 0;
    end = stop;
    function->entry = (u32)p - by;
    if (!u32_of(W_U32, &size) || size > (u32)(stop - p)) return 0;
    end = p + size;
    function->start = (u32)p - by;
    if (!count_of(W_U32, W_U32, &groups)) return 0;
    function->groups = (u32)p - by;
    while (groups--) {
        if (!u32_of(W_U32, &count) || !val_type()) return 0;
        declared += count;
    }
    if (declared >> 32) return 0;
    function->code = (u32)p - by;
    function->declared = (u32)declared;
    p = end;
    function->end = (u32)p - by;
    return 1;
}

/* The n entries of a code section that are at start..stop, as they are; 0 when one is malformed,
   which whoever reads them one by one says better. */
__attribute__((export_name("entries"))) u32 entries(
    const u8 *start, const u8 *stop, Function *functions, u32 n, u32 by) {
    writing = marking = 0;
    p = start;
    for (u32 i = 0; i < n; i++)
        if (!entry(&functions[i], stop, by)) return 0;
    return p == stop;
}

/* The declarations of locals from start to stop, which are well-formed. */
static int locals(const u8 *start, const u8 *stop) {
    u32 groups, count;
    p = kept = start;
    end = stop;
    if (maps[S_TYPE].kind) {
        if (!u32_of(W_U32, &groups)) return 0;
        while (groups--)
            if (!u32_of(W_U32, &count) || !val_type()) return 0;
    }
    flush(stop);
    return 1;
}

static int written(const Function *function) {
    const u8 *entry = (const u8 *)(function->entry + moved_by);
    const u8 *start = (const u8 *)(function->start + moved_by);
    const u8 *code = (const u8 *)(function->code + moved_by);
    const u8 *stop = (const u8 *)(function->end + moved_by);
    u32 from = (u32)o, size, n;
    u8 head[8];
    changed = function->todo != 0;
    if (!changed && !mapped && !last_words) {
        copy(entry, (u32)(stop - entry));
        return 1;
    }
    space_for(8);
    o += 5;
    if (function->locals_size)
        copy((const u8 *)function->locals, function->locals_size);
    else if (!locals(start, code))
        return 0;
    p = kept = code;
    if (function->todo ? !edited((const u32 *)function->todo) : !pass(stop)) return 0;
    if (!changed) {
        o = (u8 *)from;
        copy(entry, (u32)(stop - entry));
        return 1;
    }
    size = (u32)o - from - 5;
    n = put_unsigned(head, size, 1);
    __builtin_memmove((u8 *)from + n, (u8 *)from + 5, size);
    __builtin_memcpy((u8 *)from, head, n);
    o = (u8 *)from + n + size;
    return 1;
}

/* "size" is that of what was written last; "upto": how many functions are written so far;
   "endings": how many last words. */
static struct {
    u32 start, size, changed, places, upto, endings;
} output;

static void begin(const Map *given) {
    u8 spaces[256] = {0};
    mapped = 0;
    last_words = 0;
    marking = 0;
    writing = 1;
    for (u32 space = 1; space < SPACES; space++) {
        maps[space] = given[space];
        spaces[space] = given[space].kind != 0;
        mapped |= spaces[space];
    }
    set_quick(0, 0, spaces);
}

static u32 written_before; /* how many bytes */

/* Functions written anew, one after the other, in calls that each write over what the last one has
   written: from "upto" on until there are "enough" bytes or no more functions.  0 when one is
   malformed.  "places" gets where the entry of each begins in all that is written, and where the
   last one ends.  "last": a template + 1 in front of each instruction of "row". */
__attribute__((export_name("rewrite"))) u32 rewrite(
    const Map *given, const Function *functions, u32 n, Template *made, u32 by, u32 spots,
    u32 enough, u32 last, u32 row) {
    begin(given);
    if (last) {
        last_words = &made[last - 1];
        ending = row;
        for (u32 byte = 0; byte < 256; byte++)
            if (table.plain[byte] == row) quick[byte] = 0;
    }
    spot_base = spots;
    templates = made;
    moved_by = by;
    if (!output.places) {
        output.places = (u32)take(4 * (n + 1));
        output.start = (u32)take(0);
    } else {
        written_before += output.size;
    }
    u32 *places = (u32 *)output.places, i = output.upto;
    o = (u8 *)output.start;
    for (; i < n && (u32)o - output.start < enough; i++) {
        span_number = i;
        places[i] = written_before + (u32)o - output.start;
        if (!written(&functions[i])) return 0;
        output.changed += (u32)changed;
    }
    output.size = (u32)o - output.start;
    output.upto = i;
    output.endings = endings;
    places[i] = written_before + output.size;
    return 1;
}

/* Code with other indices. */
__attribute__((export_name("renumber"))) u32 renumber(
    const Map *given, const u8 *start, const u8 *stop) {
    begin(given);
    span_number = 0;
    changed = 0;
    o = take(0);
    output.start = (u32)o;
    p = kept = start;
    if (!pass(stop)) return 0;
    output.size = (u32)o - output.start;
    output.changed = (u32)changed;
    return 1;
}
