/* Reading LEB128 numbers, types and immediates, as wasm/instructions.py does. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Shapes of immediates; kernel/layout.py has the same numbers. */
enum {
    K_U32, K_BLOCKTYPE, K_HEAPTYPE, K_VALTYPES, K_LABELS, K_MEMARG, K_ATOMIC, K_RMW, K_I32, K_I64,
    K_F32, K_F64, K_V128, K_LANE, K_LANES, K_CAST, K_CATCHES, K_HANDLERS, K_ORDERING
};
/* Index spaces; 0 is none. */
enum { S_NONE, S_TYPE, S_FUNC, S_TABLE, S_MEMORY, S_GLOBAL, S_TAG, S_ELEM, S_DATA, SPACES };
/* What instructions do to control. */
enum {
    R_NONE, R_BLOCK, R_LOOP, R_IF, R_TRY, R_TRY_TABLE, R_ELSE, R_CATCH, R_END, R_DELEGATE,
    R_BRANCH, R_GOING_BRANCH, R_GOING, R_CALL, R_GOING_CALL, R_CALL_BRANCH
};

typedef struct {
    u8 count;    /* of immediates */
    u8 role;
    u8 kinds[4];
    u8 spaces[4];
} Row;

enum { NO_ROW = 0xffff, PREFIX_FIRST = 0xfb, PREFIXED = 512, ROWS = 1024 };
static struct {
    u16 plain[256];
    u16 prefixed[4][PREFIXED];
    Row rows[ROWS];
} table;

static struct {
    u32 message, what, span, pos;
    u64 a, b;
} failure;

static const u8 *p, *end;
static u32 span_number;

static int fail(u32 message, u32 what, u64 a, u64 b, const u8 *at) {
    failure.message = message;
    failure.what = what;
    failure.span = span_number;
    failure.pos = (u32)at;
    failure.a = a;
    failure.b = b;
    return 0;
}

/* In write.h: what to do with an index while code is written anew. */
static int writing;
static int moved(const u8 *start, u32 space, u32 value, int is_signed);
static int moved_memarg(const u8 *start, u32 flags);

static int leb(u32 bits, int is_signed, u32 what, u64 *out) {
    const u8 *start = p;
    u64 value = 0;
    u32 shift = 0;
    u8 byte;
    for (;;) {
        if (p >= end) return fail(M_END, what, 0, 0, p);
        byte = *p++;
        value |= (u64)(byte & 0x7f) << shift;
        shift += 7;
        if (byte < 0x80) break;
        if (shift >= bits) return fail(M_LONG, what, bits, 0, start);
    }
    if (shift > bits) {
        u32 used = bits - (shift - 7), low = byte & 0x7f;
        u32 rest = is_signed ? low >> (used - 1) : low >> used;
        if (rest && !(is_signed && rest == 0x7fu >> (used - 1)))
            return fail(M_RANGE, what, bits, 0, start);
    }
    if (is_signed && byte & 0x40 && shift < 64) value |= ~0ull << shift;
    *out = value;
    return 1;
}

static inline int u32_of(u32 what, u32 *out) {
    if (p < end && *p < 0x80) {
        *out = *p++;
        return 1;
    }
    u64 value;
    if (!leb(32, 0, what, &value)) return 0;
    *out = (u32)value;
    return 1;
}

static inline int u8_of(u32 what, u32 *out) {
    if (p >= end) return fail(M_END, what, 0, 0, p);
    *out = *p++;
    return 1;
}

static inline int skip(u32 size, u32 what) {
    if (size > (u32)(end - p)) return fail(M_PAST, what, size, (u32)(end - p), p);
    p += size;
    return 1;
}

static int count_of(u32 number, u32 what, u32 *out) {
    const u8 *start = p;
    if (!u32_of(number, out)) return 0;
    if (*out > (u32)(end - p)) return fail(M_COUNT, what, *out, (u32)(end - p), start);
    return 1;
}

static int index_of(u32 space, u32 what, u32 *out) {
    const u8 *start = p;
    if (!u32_of(what, out)) return 0;
    return writing && space ? moved(start, space, *out, 0) : 1;
}

/* Types. */

static int type_index(int is_signed, u32 *out) {
    const u8 *start = p;
    u64 value;
    if (!is_signed) return index_of(S_TYPE, W_TYPE_INDEX, out);
    if (!leb(33, 1, W_TYPE_INDEX, &value)) return 0;
    if (value >> 63) return fail(M_NEGATIVE, 0, 0, 0, start);
    *out = (u32)value;
    return writing ? moved(start, S_TYPE, *out, 1) : 1;
}

static int is_heap(u32 byte) { return byte >= 0x68 && byte <= 0x75; }

static int abstract_of(u32 byte) {
    return is_heap(byte) || fail(M_UNKNOWN, W_HEAPTYPE, byte, 0, p - 1);
}

static int heap_type(void) {
    u32 index, byte;
    if (p >= end) return fail(M_END, W_A_HEAPTYPE, 0, 0, p);
    byte = *p;
    if ((byte & 0xc0) != 0x40) return type_index(1, &index);
    p++;
    if (byte == 0x62) return type_index(0, &index);
    if (byte == 0x65) return u8_of(W_A_HEAPTYPE, &byte) && abstract_of(byte);
    return abstract_of(byte);
}

static int val_type(void) {
    u32 byte;
    if (p >= end) return fail(M_END, W_A_VALTYPE, 0, 0, p);
    byte = *p;
    if (byte >= 0x7b && byte <= 0x7f) {
        p++;
        return 1;
    }
    if (!is_heap(byte) && (byte < 0x63 || byte > 0x65))
        return fail(M_UNKNOWN, W_VALTYPE, byte, 0, p);
    p++;
    if (byte == 0x63 || byte == 0x64) return heap_type();
    if (byte == 0x65) return u8_of(W_A_HEAPTYPE, &byte) && abstract_of(byte);
    return 1;
}

static int block_type(void) {
    u32 index;
    if (p >= end) return fail(M_END, W_A_BLOCKTYPE, 0, 0, p);
    if (*p == 0x40) {
        p++;
        return 1;
    }
    return (*p & 0xc0) == 0x40 ? val_type() : type_index(1, &index);
}

/* Immediates. */

static u64 value_of; /* of the first immediate that is an integer; of a memory argument its memory */
static int marking; /* in draft.h: where a label leads to is noted */
static void mark_label(u32 label);

static int a_label(u32 what) {
    u32 label;
    if (!u32_of(what, &label)) return 0;
    if (marking) mark_label(label);
    return 1;
}

static int labels(void) {
    u32 count;
    if (!count_of(W_LABELS, W_LABEL, &count)) return 0;
    while (count--)
        if (!a_label(W_A_LABEL)) return 0;
    return a_label(W_DEFAULT);
}

static int val_types(void) {
    u32 count;
    if (!count_of(W_VALTYPES, W_VALTYPE, &count)) return 0;
    while (count--)
        if (!val_type()) return 0;
    return 1;
}

static int memarg(u32 kind) {
    const u8 *start = p;
    u32 flags, memory = 0, ordering;
    u64 offset;
    if (!u32_of(W_MEMARG, &flags)) return 0;
    if (flags & ~0x5fu)
        return fail(flags & 0x20 ? M_FLAGS_ARRAY : M_FLAGS, 0, flags, 0, start);
    if (flags & 0x10 && kind == K_MEMARG) return fail(M_UNORDERED, 0, flags, 0, start);
    if (flags & 0x40) {
        if (!index_of(S_MEMORY, W_MEMORY_INDEX, &memory)) return 0;
    } else if (writing && !moved_memarg(start, flags)) {
        return 0;
    }
    value_of = memory;
    if (flags & 0x10) {
        if (!u8_of(W_AN_ORDERING, &ordering)) return 0;
        if (ordering && ordering != (kind == K_ATOMIC ? 1 : 0x11))
            return fail(M_IS, W_ORDERING, ordering, 0, p - 1);
    }
    if (p < end && *p < 0x80) {
        p++;
        return 1;
    }
    return leb(64, 0, W_OFFSET, &offset);
}

static int catches(void) {
    u32 count, kind, tag;
    if (!count_of(W_CATCHES, W_CATCH, &count)) return 0;
    while (count--) {
        if (!u8_of(W_A_CATCH, &kind)) return 0;
        if (kind > 3) return fail(M_UNKNOWN, W_CATCH, kind, 0, p - 1);
        if (kind < 2 && !index_of(S_TAG, W_TAG_INDEX, &tag)) return 0;
        if (!a_label(W_A_LABEL)) return 0;
    }
    return 1;
}

static int handlers(void) {
    u32 count, kind, tag;
    if (!count_of(W_HANDLERS, W_HANDLER, &count)) return 0;
    while (count--) {
        if (!u8_of(W_AN_ON, &kind)) return 0;
        if (kind > 1) return fail(M_UNKNOWN, W_HANDLER, kind, 0, p - 1);
        if (!index_of(S_TAG, W_TAG_INDEX, &tag)) return 0;
        if (kind == 0 && !a_label(W_A_LABEL)) return 0;
    }
    return 1;
}

static int below(u32 limit, u32 what) {
    u32 value;
    if (!u8_of(what, &value)) return 0;
    return value < limit || fail(M_IS, what, value, 0, p - 1);
}

enum { S_LABEL = 0xff, S_NO_BRANCH = 0xfe };

static int immediate(u32 kind, u32 space) {
    u32 value;
    u64 wide;
    switch (kind) {
    case K_U32:
        if (space == S_LABEL) {
            u32 label;
            if (!u32_of(W_U32, &label)) return 0;
            value_of = label;
            if (marking) mark_label(label);
            return 1;
        }
        if (!index_of(space == S_NO_BRANCH ? 0 : space, W_U32, &value)) return 0;
        if (value_of == ~0ull) value_of = value;
        return 1;
    case K_BLOCKTYPE: return block_type();
    case K_HEAPTYPE: return heap_type();
    case K_VALTYPES: return val_types();
    case K_LABELS: return labels();
    case K_MEMARG:
    case K_ATOMIC:
    case K_RMW: return memarg(kind);
    case K_I32:
        if (!leb(32, 1, W_I32, &wide)) return 0;
        value_of = wide;
        return 1;
    case K_I64: return leb(64, 1, W_I64, &wide);
    case K_F32: return skip(4, W_F32);
    case K_F64: return skip(8, W_F64);
    case K_V128: return skip(16, W_V128);
    case K_LANE: return u8_of(W_BYTE, &value);
    case K_LANES: return skip(16, W_LANES);
    case K_CAST: return below(4, W_CAST);
    case K_CATCHES: return catches();
    case K_HANDLERS: return handlers();
    default: return below(2, W_ORDERING);
    }
}

/* How to move past instructions that nobody asks about, by their first byte. */
static u8 quick[256];
enum { Q_STEP, Q_NOTHING, Q_INTEGER, Q_MEMARG }; /* what is behind it; of STEP only "step" knows */

static u8 quick_of(const Row *row) {
    u32 kind = row->kinds[0];
    if (!row->count) return Q_NOTHING;
    if (row->count > 1) return Q_STEP;
    if (kind == K_MEMARG) return Q_MEMARG;
    return kind == K_U32 || kind == K_I32 || kind == K_I64 ? Q_INTEGER : Q_STEP;
}

/* Which rows somebody asks about: those with "flags" (if any), with a role (if "roles"), with
   indices in "spaces" (by space). */
static void set_quick(const u8 *flags, int roles, const u8 *spaces) {
    for (u32 byte = 0; byte < 256; byte++) {
        u32 number = table.plain[byte];
        const Row *row = &table.rows[number];
        quick[byte] = Q_STEP;
        if (number == NO_ROW || (flags && flags[number]) || (roles && row->role)) continue;
        if (spaces && (row->kinds[0] == K_MEMARG ? spaces[S_MEMORY] : spaces[row->spaces[0]]))
            continue;
        quick[byte] = quick_of(row);
    }
}

/* Move past instructions from p on that nobody asks about; how many.  It stops at some that only
   "step" moves past: with long integers, and at the end. */
static inline u32 skip_quickly(void) {
    const u8 *at = p, *stop = end - 4;
    u32 n = 0;
    for (; at <= stop; n++) {
        u32 behind = quick[*at], longer;
        if (behind == Q_NOTHING) {
            at++;
            continue;
        }
        if (behind == Q_STEP || (behind == Q_MEMARG && at[1] >= 0x10)) break;
        longer = behind == Q_MEMARG;
        if (at[1 + longer] < 0x80)
            at += 2 + longer;
        else if (at[2 + longer] < 0x80)
            at += 3 + longer;
        else
            break;
    }
    p = at;
    return n;
}

static u32 row_number;

/* Move past the opcode at p; its row. */
static const Row *opcode(void) {
    const u8 *start = p;
    u32 byte = *p++, number;
    row_number = table.plain[byte];
    if (row_number == NO_ROW) {
        if (byte < PREFIX_FIRST || byte >= PREFIX_FIRST + 4)
            return fail(M_OPCODE, 0, byte, 0, start), (const Row *)0;
        if (!u32_of(W_OPCODE, &number)) return 0;
        row_number = number < PREFIXED ? table.prefixed[byte - PREFIX_FIRST][number] : NO_ROW;
        if (row_number == NO_ROW)
            return fail(M_PREFIXED, 0, byte, number, start), (const Row *)0;
    }
    return &table.rows[row_number];
}

/* Move past the instruction at p, which is before end; its row, or 0 when it is malformed. */
static const Row *step(void) {
    const Row *row = opcode();
    if (!row) return 0;
    value_of = ~0ull;
    for (u32 i = 0; i < row->count; i++)
        if (!immediate(row->kinds[i], row->spaces[i])) return 0;
    return row;
}
