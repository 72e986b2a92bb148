/* The relay: collects the blocks of all the component instances inside one component and passes them
 * to the host in larger pieces.  A call from component to component costs tens of nanoseconds, one
 * to a host in another language tens of microseconds.
 *
 * Blocks keep their form; each gets its instance number here and begins on a multiple of the header's
 * size.  What has been collected goes out when a block is marked FINAL or the buffer is nearly full.
 *
 * Memory: stack, data, buffer at align16(__heap_base), the block received above it.
 */
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

enum {
    PAGE = 65536,
    HEADER_SIZE = 32,
    FINAL = 1,
    GOES_ON = 4,
    BLOCK_MAGIC = 0x324D4357,
    BUFFER_SIZE = 128 << 10,
    FULL_AT = 64 << 10, /* a block is smaller than what is left then */
};

IMPORT("env", "emit") uint32_t host_emit(const uint8_t *blocks, uint32_t size);

extern uint8_t __heap_base;

static uint32_t used, last_instance, unsaid; /* records came since the last block that was FINAL */

static uint8_t *buffer(void) { return (uint8_t *)(((uint32_t)&__heap_base + 15) & ~15u); }

static uint32_t load32(const uint8_t *p) {
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v;
}
static void store32(uint8_t *p, uint32_t v) { __builtin_memcpy(p, &v, 4); }

static void pass_on(void) {
    if (used) host_emit(buffer(), used);
    used = 0;
    store32(buffer(), 0);
}

/* A block of `chunks` times the header's size. */
EXPORT("emit") uint32_t emit(uint8_t *block, uint32_t chunks) {
    if (!chunks || load32(block) != BLOCK_MAGIC) return 0;
    uint32_t instance = load32(block + 8), size = chunks * HEADER_SIZE;
    uint32_t some = load32(block + 16) | load32(block + 20), flags = load32(block + 4);
    uint32_t final = flags & FINAL;
    if (!instance && some) store32(block + 8, instance = ++last_instance);
    if ((some | unsaid) && size <= BUFFER_SIZE) {
        unsaid = !final || (flags & GOES_ON);
        if (used + size > BUFFER_SIZE) pass_on();
        __builtin_memcpy(buffer() + used, block, size);
        used += size;
        if (used < BUFFER_SIZE) store32(buffer() + used, 0); /* for who reads this after a crash */
    }
    if (final || used > FULL_AT) pass_on();
    return instance;
}

/* Every block lies in the same place, above the buffer; it is gone before the next one comes. */
EXPORT("cabi_realloc")
uint32_t cabi_realloc(uint32_t old, uint32_t old_size, uint32_t align, uint32_t size) {
    (void)old, (void)old_size, (void)align;
    uint32_t at = (uint32_t)buffer() + BUFFER_SIZE;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE, want = (uint64_t)at + size;
    /* When the host refuses to grow, it will find the block out of bounds itself. */
    if (want > have) __builtin_wasm_memory_grow(0, (uint32_t)((want - have + PAGE - 1) / PAGE));
    return at;
}
