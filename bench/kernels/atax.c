/* Matrix times vector, then the transposed matrix times that, over and over. */
#define SIZE 750
#include "kernel.h"
enum { ROWS = 700, COLUMNS = 600 };

int main(int argc, char **argv) {
    int rounds = run_size(argc, argv);
    double *a = new_doubles(ROWS * COLUMNS), *x = new_doubles(COLUMNS), *y = new_doubles(COLUMNS);
    for (int round = 0; round < rounds; round++) {
        memset(y, 0, COLUMNS * sizeof *y);
        for (int row = 0; row < ROWS; row++) {
            const double *line = a + row * COLUMNS;
            double sum = 0;
            for (int col = 0; col < COLUMNS; col++) sum += line[col] * x[col];
            for (int col = 0; col < COLUMNS; col++) y[col] += line[col] * sum;
        }
        double top = 0;
        for (int col = 0; col < COLUMNS; col++) top = y[col] > top ? y[col] : top;
        for (int col = 0; col < COLUMNS; col++) x[col] = y[col] / top;
    }
    return print_sum(sum_bits(x, sizeof *x * COLUMNS));
}
