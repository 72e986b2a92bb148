/* Nine-point stencil in place: every cell needs the one before it. */
#define SIZE 330
#include "kernel.h"
enum { SIDE = 400 };

int main(int argc, char **argv) {
    int steps = run_size(argc, argv);
    double *grid = new_doubles(SIDE * SIDE);
    for (int step = 0; step < steps; step++)
        for (int row = 1; row < SIDE - 1; row++)
            for (int col = 1; col < SIDE - 1; col++) {
                double *at = grid + row * SIDE + col;
                double above = at[-SIDE - 1] + at[-SIDE] + at[-SIDE + 1];
                double below = at[SIDE - 1] + at[SIDE] + at[SIDE + 1];
                at[0] = (above + at[-1] + at[0] + at[1] + below) / 9.0;
            }
    return print_sum(sum_bits(grid, sizeof *grid * SIDE * SIDE));
}
