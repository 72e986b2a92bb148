/* What to put where, for many functions at once: by kinds of instructions (see scan.h), each with a
   plan that was made once. */

/* Steps of a plan.
   ADD variable amount(2 words): to be added once for all of a run of instructions.
   COUNT class row: a counter of that class for the run stands for a cell of the row here, too.
   CELL class row: a counter of its own; OUTER list: the next address of a list; both are kept.
   PUT template n (source, operand)…: the template, with these arguments. */
enum { STEP_END, STEP_ADD, STEP_COUNT, STEP_CELL, STEP_OUTER, STEP_PUT };
/* Sources of arguments.  KEPT: the spot of a CELL (see PART_SPOT), or an address. */
enum { FROM_CONST, FROM_LOCAL, FROM_KEPT, FROM_PC, FROM_FID, FROM_OPIDX };
enum { MAX_KINDS = 16, MAX_KEPT = 64, MAX_CLASSES = 4096, MAX_VARIABLES = 4096 };

typedef struct {
    u32 function;    /* which of the functions, and of the spans */
    u32 fid, pc_base; /* pc is the position less pc_base */
    u32 first_local;
    u32 counters;     /* out: how many it has */
} Target;

typedef struct {
    u32 plans;     /* by group of alike instructions: address of the plan, or 0 */
    u32 needs;     /* by group: address of MAX_KINDS counts of locals */
    u32 types, n_types; /* of locals: 4 bytes each, the first is their length */
    u32 variables; /* by variable: the template that adds to it */
    u32 classes, n_classes; /* by class: the template that counts */
    u32 step;      /* between the spots of counters */
    u32 outer;     /* by list: address of its next address */
    u32 pulse, last, unreachable; /* templates + 1 at entries and loops, before that row */
    u32 cells;     /* how many cells there are at most */
    /* out: */
    u32 counts, kinds, counters; /* by counter: how many cells, of which class */
    u32 rows, steps, n_cells; /* by cell; steps: folded distances of pcs within a function */
    u32 outs, n_outs; /* by OUTER: target, pc, list */
} Draft;

typedef struct {
    u32 opidx, role, targeted;
} Block;

static Block *blocks;
static u32 open_blocks;
static u8 *leaders;
static int branches, no_label;

static void mark_label(u32 label) {
    branches = 1;
    if (label > open_blocks) {
        no_label = 1;
        return;
    }
    if (label == open_blocks) return;
    Block *block = &blocks[open_blocks - 1 - label];
    if (block->role == R_LOOP)
        leaders[block->opidx + 1] = 1;
    else
        block->targeted = 1;
}

static u32 find_alike(u32 row, const u8 *at, const u8 *stop) {
    if (row_alike[row]) return row_alike[row] - 1;
    u32 place = hash_of(row, at, stop) & bucket_mask;
    while (buckets[place]) {
        if (same(&alikes[buckets[place] - 1], row, at, stop)) return buckets[place] - 1;
        place = (place + 1) & bucket_mask;
    }
    return ~0u;
}

static const u8 *scan_flags;

static const u32 *plan_of(const Draft *draft, u32 row, const u8 *at, const u8 *stop) {
    if (!scan_flags[row]) return 0;
    u32 group = find_alike(row, at, stop);
    return group == ~0u ? 0 : (const u32 *)((const u32 *)draft->plans)[group];
}

/* Find the leaders of a function, which need not run as often as what is before them, and the
   locals that its plans need.  "fires" is whether there is a plan at all. */
static int fires;

static int find_leaders(const Draft *draft, const u8 *start, const u8 *stop, u32 *needs) {
    u32 opidx = 0;
    int closed = 0;
    p = start;
    end = stop;
    open_blocks = 0;
    fires = 0;
    marking = 1;
    for (u32 i = 0; i <= (u32)(stop - start) + 1; i++) leaders[i] = 0;
    for (;; opidx++) {
        if (!closed) opidx += skip_quickly();
        if (p >= end) break;
        const u8 *at = p;
        if (closed) return fail(M_BEHIND, 0, 0, 0, at);
        branches = no_label = 0;
        const Row *row = step();
        if (!row) return 0;
        if (no_label) return fail(M_NO_LABEL, 0, open_blocks + 1, 0, at);
        if (scan_flags[row_number]) {
            u32 group = find_alike(row_number, at, p);
            fires |= group != ~0u && ((const u32 *)draft->plans)[group];
            const u32 *more_ = group == ~0u ? 0 : (const u32 *)((const u32 *)draft->needs)[group];
            if (more_)
                for (u32 k = 0; k < draft->n_types; k++)
                    if (more_[k] > needs[k]) needs[k] = more_[k];
        }
        u32 role = row->role;
        int next = branches && role != R_TRY_TABLE;
        switch (role) {
        case R_IF:
        case R_TRY: next = 1; /* fall through */
        case R_BLOCK:
        case R_LOOP:
        case R_TRY_TABLE: blocks[open_blocks++] = (Block){opidx, role, 0}; break;
        case R_ELSE:
        case R_CATCH:
            if (!open_blocks) return fail(M_OUTSIDE, 0, 0, 0, at);
            next = 1;
            break;
        case R_END:
        case R_DELEGATE:
            if (open_blocks) {
                Block *block = &blocks[--open_blocks];
                next |= block->targeted || block->role == R_IF || block->role == R_TRY;
            } else {
                closed = 1;
            }
            break;
        case R_GOING:
        case R_GOING_BRANCH:
        case R_CALL:
        case R_CALL_BRANCH: next = 1; break;
        }
        if (next) leaders[opidx + 1] = 1;
    }
    marking = 0;
    return closed || fail(M_NO_END, 0, 0, 0, stop);
}

/* The batch of a run. */
static u64 sums[MAX_VARIABLES];
static u32 summed[MAX_VARIABLES], n_summed;
static u8 is_summed[MAX_VARIABLES];
static u32 class_cells[MAX_CLASSES], used_classes[MAX_CLASSES], n_used;

static u32 *words; /* the next word of what there is to do */

static inline void word(u32 value) {
    more(words, 4);
    *words++ = value;
}

static void put(u32 pos, u32 template) {
    more(words, 12);
    *words++ = DO_INSERT;
    *words++ = pos;
    *words++ = template;
}

static u32 new_counter(Draft *draft, u32 kind, Target *target) {
    ((u32 *)draft->kinds)[draft->counters] = kind;
    ((u32 *)draft->counts)[draft->counters] = 0;
    target->counters++;
    return draft->counters++;
}

static u32 last_pc; /* of the function's last cell */

static void new_cell(Draft *draft, u32 counter, u32 row, u32 pc) {
    u32 step_ = pc - last_pc;
    last_pc = pc;
    ((u32 *)draft->rows)[draft->n_cells] = row;
    ((u32 *)draft->steps)[draft->n_cells++] = step_ << 1 ^ (u32)((int)step_ >> 31);
    ((u32 *)draft->counts)[counter]++;
}

/* Sum up the run that begins at p with instruction opidx, or with "only" one class its cells. */
static int sum_run(Draft *draft, Target *target, u32 opidx, u32 by, u32 only, u32 counter) {
    do {
        const u8 *at = p;
        if (!step()) return 0;
        const u32 *step_ = plan_of(draft, row_number, at, p);
        opidx++;
        if (!step_) continue;
        for (u32 pc = (u32)at - by - target->pc_base; *step_ != STEP_END;) {
            switch (*step_) {
            case STEP_ADD:
                if (only == ~0u) {
                    u32 variable = step_[1];
                    if (!is_summed[variable]) {
                        is_summed[variable] = 1;
                        sums[variable] = 0;
                        summed[n_summed++] = variable;
                    }
                    sums[variable] += (u64)step_[3] << 32 | step_[2];
                }
                step_ += 4;
                break;
            case STEP_COUNT:
                if (only == ~0u) {
                    if (!class_cells[step_[1]]++) used_classes[n_used++] = step_[1];
                } else if (only == step_[1]) {
                    new_cell(draft, counter, step_[2], pc);
                }
                step_ += 3;
                break;
            case STEP_CELL: step_ += 3; break;
            case STEP_OUTER: step_ += 2; break;
            default: step_ += 3 + 2 * step_[2];
            }
        }
    } while (p < end && !leaders[opidx]);
    return 1;
}

static int put_run(Draft *draft, Target *target, const u8 *start, u32 opidx, u32 by) {
    u32 pos = (u32)start - by;
    for (u32 i = 0; i < n_summed; i++) {
        u32 variable = summed[i];
        put(pos, ((const u32 *)draft->variables)[variable]);
        word((u32)sums[variable]);
        word((u32)(sums[variable] >> 32));
        is_summed[variable] = 0;
    }
    n_summed = 0;
    for (u32 i = 0; i < n_used; i++) {
        u32 kind = used_classes[i];
        u32 counter = new_counter(draft, kind, target);
        put(pos, ((const u32 *)draft->classes)[kind]);
        word(counter * draft->step);
        p = start;
        if (!sum_run(draft, target, opidx, by, kind, counter)) return 0;
        class_cells[kind] = 0;
    }
    n_used = 0;
    return 1;
}

/* What stands alone at an instruction. */
static void put_here(
    Draft *draft, Target *target, u32 number, const u32 *step_, u32 pos, u32 opidx,
    const u32 *locals_at) {
    u32 kept_[MAX_KEPT], n = 0, pc = pos - target->pc_base;
    while (*step_ != STEP_END) {
        switch (*step_) {
        case STEP_ADD: step_ += 4; break;
        case STEP_COUNT: step_ += 3; break;
        case STEP_CELL: {
            u32 counter = new_counter(draft, step_[1], target);
            new_cell(draft, counter, step_[2], pc);
            kept_[n++ & (MAX_KEPT - 1)] = counter * draft->step;
            step_ += 3;
            break;
        }
        case STEP_OUTER: {
            u32 *out = (u32 *)draft->outs + 3 * draft->n_outs++;
            u32 *next = (u32 *)draft->outer + step_[1];
            out[0] = number;
            out[1] = pc;
            out[2] = step_[1];
            kept_[n++ & (MAX_KEPT - 1)] = *(const u32 *)*next;
            *next += 4;
            step_ += 2;
            break;
        }
        default: {
            u32 count = step_[2];
            put(pos, step_[1]);
            step_ += 3;
            for (; count--; step_ += 2) {
                u32 operand = step_[1];
                switch (step_[0]) {
                case FROM_LOCAL: word(locals_at[operand >> 16] + (operand & 0xffff)); break;
                case FROM_KEPT: word(kept_[operand & (MAX_KEPT - 1)]); break;
                case FROM_PC: word(pc); break;
                case FROM_FID: word(target->fid); break;
                case FROM_OPIDX: word(opidx); break;
                default: word(operand);
                }
            }
        }
        }
    }
}

/* The declarations of locals at start..stop with more of them. */
static void add_locals(const Draft *draft, Function *function, const u32 *needs, u32 by) {
    const u8 *stop = (const u8 *)(function->code + by);
    u32 groups = 0, more_ = 0;
    p = (const u8 *)(function->start + by);
    end = stop;
    for (u32 k = 0; k < draft->n_types; k++) more_ += needs[k] != 0;
    if (!more_ || !u32_of(W_U32, &groups)) return;
    u32 size = (u32)(stop - p);
    u8 *to = take(5 + size + draft->n_types * 10), *from = to;
    to += put_unsigned(to, groups + more_, 1);
    __builtin_memcpy(to, p, size);
    to += size;
    for (u32 k = 0; k < draft->n_types; k++) {
        const u8 *type = (const u8 *)draft->types + 4 * k;
        if (!needs[k]) continue;
        to += put_unsigned(to, needs[k], 1);
        for (u32 i = 0; i < type[0]; i++) *to++ = type[1 + i];
    }
    function->locals = (u32)from;
    function->locals_size = (u32)(to - from);
}

static int draft_one(Draft *draft, Target *target, u32 number, Function *function, u32 by) {
    const u8 *start = (const u8 *)(function->code + by), *stop = (const u8 *)(function->end + by);
    u32 needs[MAX_KINDS] = {0}, at_[MAX_KINDS], opidx = 0;
    span_number = target->function;
    if (!find_leaders(draft, start, stop, needs)) return 0;
    at_[0] = target->first_local;
    for (u32 k = 1; k < MAX_KINDS; k++) at_[k] = at_[k - 1] + needs[k - 1];
    add_locals(draft, function, needs, by);
    words = (u32 *)take(0);
    last_pc = 0;
    const u32 *first = words;
    int pulse = 0;
    for (p = start, end = stop; p < end;) {
        const u8 *run = p, *next;
        u32 run_opidx = opidx;
        if (!sum_run(draft, target, opidx, by, ~0u, 0)) return 0;
        for (next = p, p = run; p < next; opidx++) {
            const u8 *at = p;
            u32 pos = (u32)at - by;
            const Row *row = step();
            const u8 *after = p;
            u32 kind = row_number;
            if (pulse) put(pos, draft->pulse - 1);
            const u32 *plan = plan_of(draft, kind, at, after);
            if (plan) put_here(draft, target, number, plan, pos, opidx, at_);
            if (opidx == run_opidx && !put_run(draft, target, run, run_opidx, by)) return 0;
            if (!opidx && draft->pulse && fires) put(pos, draft->pulse - 1);
            if (kind == draft->unreachable && draft->last) put(pos, draft->last - 1);
            pulse = draft->pulse && fires && row->role == R_LOOP;
            p = after;
        }
    }
    if (words == first) return 1;
    word(DO_STOP);
    word(function->end);
    word(DO_END);
    function->todo = (u32)first;
    return 1;
}

/* Drafts of the targets' functions; 0 when one is malformed.  Scan must have been called with the
   same flags before. */
__attribute__((export_name("draft"))) u32 draft(
    Draft *given, Target *targets, u32 n, Function *functions, u32 by, const u8 *wanted) {
    u32 longest = 0;
    writing = 0;
    scan_flags = wanted;
    set_quick(wanted, 1, 0);
    for (u32 i = 0; i < n; i++) {
        const Function *function = &functions[targets[i].function];
        u32 size = function->end - function->code;
        if (size > longest) longest = size;
    }
    blocks = (Block *)take((u32)sizeof(Block) * (longest + 1));
    leaders = take(longest + 2);
    given->counts = (u32)take(4 * given->cells);
    given->kinds = (u32)take(4 * given->cells);
    given->rows = (u32)take(4 * given->cells);
    given->steps = (u32)take(4 * given->cells);
    given->counters = given->n_cells = given->n_outs = 0;
    for (u32 i = 0; i < n; i++)
        if (!draft_one(given, &targets[i], i, &functions[targets[i].function], by)) return 0;
    return 1;
}

/* A column of n words in as few bytes each as hold them all, of 1, 2 and 4: how many. */
__attribute__((export_name("narrow"))) u32 narrow(u32 *column, u32 n) {
    u32 all = 0;
    for (u32 i = 0; i < n; i++) all |= column[i];
    if (all >> 16) return 4;
    if (all >> 8) {
        for (u32 i = 0; i < n; i++) __builtin_memcpy((u8 *)column + 2 * i, &column[i], 2);
        return 2;
    }
    for (u32 i = 0; i < n; i++) ((u8 *)column)[i] = (u8)column[i];
    return 1;
}
