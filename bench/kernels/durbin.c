/* The Yule-Walker equations by Durbin's recursion, for many right hand sides. */
#define SIZE 140
#include "kernel.h"
enum { ORDER = 2000 };

static double solve(const double *r, double *y, double *z) {
    double alpha = -r[0], beta = 1;
    y[0] = alpha;
    for (int k = 1; k < ORDER; k++) {
        beta *= 1 - alpha * alpha;
        double sum = r[k];
        for (int i = 0; i < k; i++) sum += r[k - i - 1] * y[i];
        alpha = -sum / beta;
        for (int i = 0; i < k; i++) z[i] = y[i] + alpha * y[k - i - 1];
        memcpy(y, z, k * sizeof *y);
        y[k] = alpha;
    }
    return y[ORDER / 2];
}

int main(int argc, char **argv) {
    int rounds = run_size(argc, argv);
    double *r = new_doubles(ORDER), *y = new_doubles(ORDER), *z = new_doubles(ORDER), last[1] = {0};
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < ORDER; i++) r[i] = next_fraction() / (ORDER + i);
        last[0] += solve(r, y, z);
    }
    return print_sum(sum_bits(last, sizeof last) ^ sum_bits(y, sizeof *y * ORDER));
}
