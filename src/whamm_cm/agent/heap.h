/* The state memory's heap: blocks of powers of two from lists of free ones, else from the end of memory. */
#ifndef WHAMM_HEAP_H
#define WHAMM_HEAP_H

#include <stdint.h>

enum {
    PAGE = 65536,
    STATIC = 131072, /* the script's own strings, the heap behind them */
    MAX_HEAP = 64 << 20,
    MIN_CLASS = 4,
    MAX_CLASS = 26,
};

static struct {
    uint32_t at, limit; /* the next fresh byte, and where the heap may reach at most */
    uint32_t free[MAX_CLASS + 1];
} heap;

static uint32_t heap_class(uint32_t size) {
    return size <= 1 << MIN_CLASS ? MIN_CLASS : 32 - (uint32_t)__builtin_clz(size - 1);
}

/* Memory up to `end`, grown by a quarter when the host allows it, for growing may be slow. */
static int heap_reaches(uint32_t end) {
    uint32_t have = (uint32_t)__builtin_wasm_memory_size(0);
    uint32_t want = (end + PAGE - 1) / PAGE;
    if (want <= have) return 1;
    uint32_t more = want - have, ample = have / 4 > more ? have / 4 : more;
    return __builtin_wasm_memory_grow(0, ample) != (uint32_t)-1 ||
           __builtin_wasm_memory_grow(0, more) != (uint32_t)-1;
}

/* A block of 2^class bytes with anything in it; 0 when there is no more. */
static uint32_t obtain(uint32_t class) {
    if (class > MAX_CLASS) return 0;
    uint32_t p = heap.free[class], size = (uint32_t)1 << class;
    if (p) {
        heap.free[class] = *(uint32_t *)p;
        return p;
    }
    if (size > heap.limit - heap.at || !heap_reaches(heap.at + size)) return 0;
    p = heap.at;
    heap.at += size;
    return p;
}

static void release(uint32_t p, uint32_t class) {
    *(uint32_t *)p = heap.free[class];
    heap.free[class] = p;
}

/* A block with its class, and room for a link, in front. */
static uint32_t obtain_own(uint32_t size) {
    uint32_t class = heap_class(size > MAX_HEAP ? MAX_HEAP : size + 8), p = obtain(class);
    if (!p) return 0;
    *(uint32_t *)p = class;
    return p + 8;
}

static void release_own(uint32_t p) { release(p - 8, *(uint32_t *)(p - 8)); }

#endif
