/* Five-point stencil from one grid into another and back. */
#define SIZE 560
#include "kernel.h"
enum { SIDE = 500 };

static void sweep(const double *from, double *into) {
    for (int row = 1; row < SIDE - 1; row++)
        for (int col = 1; col < SIDE - 1; col++) {
            const double *at = from + row * SIDE + col;
            into[row * SIDE + col] = 0.2 * (at[0] + at[-1] + at[1] + at[-SIDE] + at[SIDE]);
        }
}

int main(int argc, char **argv) {
    int steps = run_size(argc, argv);
    double *one = new_doubles(SIDE * SIDE), *other = new_doubles(SIDE * SIDE);
    for (int step = 0; step < steps; step++) {
        sweep(one, other);
        sweep(other, one);
    }
    return print_sum(sum_bits(one, sizeof *one * SIDE * SIDE));
}
