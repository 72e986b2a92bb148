/* Dense matrix product with scaling: c = beta c + alpha a b. */
#define SIZE 840
#include "kernel.h"

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    double *a = new_doubles(n * n), *b = new_doubles(n * n), *c = new_doubles(n * n);
    for (int row = 0; row < n; row++) {
        double *out = c + row * n;
        for (int col = 0; col < n; col++) out[col] *= 0.75;
        for (int k = 0; k < n; k++) {
            double factor = 1.5 * a[row * n + k];
            const double *from = b + k * n;
            for (int col = 0; col < n; col++) out[col] += factor * from[col];
        }
    }
    return print_sum(sum_bits(c, sizeof *c * n * n));
}
