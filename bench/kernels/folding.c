/* How many pairs a strand of bases can form: dynamic programming over its parts. */
#define SIZE 1450
#include "kernel.h"

static int larger(int one, int other) { return one > other ? one : other; }

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    unsigned char *base = malloc(n);
    int32_t *best = calloc((size_t)n * n, sizeof *best);
    if (!base || !best) return 1;
    for (int i = 0; i < n; i++) base[i] = next_random() & 3;
    for (int from = n - 1; from >= 0; from--)
        for (int to = from + 1; to < n; to++) {
            int top = larger(best[from * n + to - 1], best[(from + 1) * n + to]);
            int pair = to - from > 2 && base[from] + base[to] == 3;
            if (to - from > 1) top = larger(top, best[(from + 1) * n + to - 1] + pair);
            for (int cut = from + 1; cut < to; cut++)
                top = larger(top, best[from * n + cut] + best[(cut + 1) * n + to]);
            best[from * n + to] = top;
        }
    return print_sum(sum_bits(best, sizeof *best * n * n));
}
