/* Factors of a matrix in place, without pivots (its diagonal is made heavy enough). */
#define SIZE 1200
#include "kernel.h"

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    double *a = new_doubles(n * n);
    for (int i = 0; i < n; i++) a[i * n + i] += n;
    for (int k = 0; k < n; k++)
        for (int row = k + 1; row < n; row++) {
            double factor = a[row * n + k] /= a[k * n + k];
            for (int col = k + 1; col < n; col++) a[row * n + col] -= factor * a[k * n + col];
        }
    return print_sum(sum_bits(a, sizeof *a * n * n));
}
