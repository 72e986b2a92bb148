/* The triangular root of a symmetric positive matrix, row by row. */
#define SIZE 1400
#include "kernel.h"
#include <math.h>

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    double *a = new_doubles(n * n);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) a[j * n + i] = a[i * n + j];
        a[i * n + i] += n;
    }
    for (int row = 0; row < n; row++)
        for (int col = 0; col <= row; col++) {
            double rest = a[row * n + col];
            for (int k = 0; k < col; k++) rest -= a[row * n + k] * a[col * n + k];
            a[row * n + col] = row == col ? sqrt(rest) : rest / a[col * n + col];
        }
    return print_sum(sum_bits(a, sizeof *a * n * n));
}
