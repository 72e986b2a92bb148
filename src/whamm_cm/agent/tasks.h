/* Tasks of exports, and what is due later: subtasks, reads and writes that wait (emit/tasks.py).
 *
 * Entries come out of what is left behind the out area; when that is used up, the record buffer moves
 * up by a page.  A free entry keeps what is in it until the next one is taken.
 */
#ifndef WHAMM_TASKS_H
#define WHAMM_TASKS_H

/* Mirrored in layout.py.  `value`: of a task what its guest keeps in slot 0 of its context; else
 * where the result will be.  `word`: of a task its site as in a record; else the place in the table of
 * the function for when it is over.  `task`: a task's own number; else of the task that waits.
 * `left`: when a task last began to wait.  `export`: which of the component's exports a task is of.
 * The rest is for probes: `vars` where the variables of a task lie, `logged` whether a record was made
 * of the call, `kept` parameters of it. */
typedef struct {
    uint64_t call, began, value;
    uint32_t word, task;
    union {
        struct {
            uint32_t key, next;
        };
        uint64_t left;
    };
    uint32_t export, vars, logged;
    uint64_t kept[4];
} Entry;
_Static_assert(sizeof(Entry) == 88, "as layout.py has it");

enum { ENTRIES = OUT + HEADER_SIZE + MAX_PAYLOAD, BUCKETS = 64 };

static uint32_t buckets[BUCKETS], free_entry, next_entry, entries_end, tasks;

static int more_entries(void) {
    if (!next_entry) {
        next_entry = (ENTRIES + 7) & ~7u;
        entries_end = START;
        return 1;
    }
    if (S.in_emit || __builtin_wasm_memory_grow(0, 1) == (uint32_t)-1) return 0;
    __builtin_memmove((void *)(S.start + PAGE), (void *)S.start, S.pos - S.start);
    next_entry = S.start;
    entries_end = S.start += PAGE;
    S.pos += PAGE;
    S.limit += PAGE;
    S.high += PAGE;
    return 1;
}

static uint32_t new_entry(uint64_t call, uint64_t began, uint64_t value, uint32_t word, uint32_t task) {
    uint32_t at = free_entry;
    if (at) {
        free_entry = ((Entry *)at)->next;
    } else {
        if (next_entry + sizeof(Entry) > entries_end && !more_entries()) return 0;
        at = next_entry;
        next_entry += sizeof(Entry);
    }
    *(Entry *)at = (Entry){.call = call, .began = began, .value = value, .word = word, .task = task};
    return at;
}

static void give_back(uint32_t at) {
    ((Entry *)at)->next = free_entry;
    free_entry = at;
}

/* A task of that export begins: its entry, 0 where there is no room for it. */
EXPORT(task_new) int32_t task_new(int32_t word, int32_t export) {
    uint32_t at = new_entry(0, 0, 0, (uint32_t)word, ++tasks);
    if (at) ((Entry *)at)->export = (uint32_t)export;
    return (int32_t)at;
}

EXPORT(task_end) void task_end(int32_t task) { give_back((uint32_t)task); }

/* What becomes of the handle `key` will be told by the function at `word`: the entry, 0 for no room. */
EXPORT(due) int32_t due(int32_t key, int64_t call, int64_t began, int64_t value, int32_t word, int32_t task) {
    uint32_t at = new_entry((uint64_t)call, (uint64_t)began, (uint64_t)value, (uint32_t)word, (uint32_t)task);
    if (!at) return 0; /* its call stays pending */
    ((Entry *)at)->key = (uint32_t)key;
    ((Entry *)at)->next = buckets[(uint32_t)key % BUCKETS];
    buckets[(uint32_t)key % BUCKETS] = at;
    return (int32_t)at;
}

/* The entry of the handle `key`, 0 if nothing is due for it; nothing more is if it is `over`. */
EXPORT(done) int32_t done(int32_t key, int32_t over) {
    uint32_t *link = &buckets[(uint32_t)key % BUCKETS];
    while (*link && ((Entry *)*link)->key != (uint32_t)key) link = &((Entry *)*link)->next;
    uint32_t at = *link;
    if (!at || !over) return (int32_t)at;
    *link = ((Entry *)at)->next;
    give_back(at);
    return (int32_t)at;
}

#endif
