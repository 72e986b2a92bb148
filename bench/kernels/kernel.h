/* What the kernels share: the size of a run, pseudo-random input, and the checksum they print. */
#ifndef KERNEL_H
#define KERNEL_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The size of the run: the first argument, or SIZE. */
static inline int run_size(int argc, char **argv) { return argc > 1 ? atoi(argv[1]) : SIZE; }

static uint32_t kernel_seed = 0x2545f491u;
static inline uint32_t next_random(void) { /* xorshift, so that every run sees the same input */
    kernel_seed ^= kernel_seed << 13;
    kernel_seed ^= kernel_seed >> 17;
    kernel_seed ^= kernel_seed << 5;
    return kernel_seed;
}
static inline double next_fraction(void) { return (double)(next_random() >> 8) / 16777216.0; }

static inline double *new_doubles(size_t count) {
    double *cells = malloc(count * sizeof *cells);
    if (!cells) exit(1);
    for (size_t i = 0; i < count; i++) cells[i] = next_fraction();
    return cells;
}

/* FNV over the bits, so that a wrong digit anywhere shows. */
static inline uint64_t sum_bits(const void *data, size_t bytes) {
    const unsigned char *from = data;
    uint64_t sum = 1469598103934665603u;
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ from[i]) * 1099511628211u;
    return sum;
}
static inline int print_sum(uint64_t sum) {
    printf("%016llx\n", (unsigned long long)sum);
    return 0;
}
#endif
