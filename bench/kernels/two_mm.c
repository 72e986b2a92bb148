/* Two matrix products in a row, the inner loop over columns: d = (a b) c. */
#define SIZE 640
#include "kernel.h"

static void product(int n, const double *left, const double *right, double *out) {
    for (int row = 0; row < n; row++)
        for (int col = 0; col < n; col++) {
            double sum = 0;
            for (int k = 0; k < n; k++) sum += left[row * n + k] * right[k * n + col];
            out[row * n + col] = sum;
        }
}

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    double *a = new_doubles(n * n), *b = new_doubles(n * n), *c = new_doubles(n * n);
    double *half = new_doubles(n * n), *d = new_doubles(n * n);
    product(n, a, b, half);
    product(n, half, c, d);
    return print_sum(sum_bits(d, sizeof *d * n * n));
}
