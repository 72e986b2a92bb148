/* Memory: handed out from the end of the program on, never given back; an instance serves once. */

extern u8 __heap_base;
static u32 top;

static int room(u32 upto) {
    u32 pages = __builtin_wasm_memory_size(0);
    u32 wanted = (u32)(((u64)upto + 65535) >> 16);
    if (wanted <= pages) return 1;
    /* An eighth more, so that growing little by little stays cheap. */
    u32 more = wanted - pages, some = pages / 8;
    if (__builtin_wasm_memory_grow(0, more > some ? more : some) != ~0ul) return 1;
    return __builtin_wasm_memory_grow(0, more) != ~0ul;
}

/* n bytes aligned to 8; traps when there are none left. */
static u8 *take(u32 n) {
    if (!top) top = (u32)&__heap_base;
    u32 start = (top + 7) & ~7u;
    if (n > 0xfff00000u - start || !room(start + n)) __builtin_trap();
    top = start + n;
    return (u8 *)start;
}

/* Make sure that n bytes from at on are there; at is the last thing that was taken. */
static inline void more(const void *at, u32 n) {
    u64 upto = (u64)(u32)at + n;
    if (upto > top) {
        if (upto > 0xfff00000u || !room((u32)upto)) __builtin_trap();
        top = (u32)upto;
    }
}
