/* Shortest ways between all pairs of places. */
#define SIZE 840
#include "kernel.h"

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    int32_t *way = malloc(sizeof *way * n * n);
    if (!way) return 1;
    for (int i = 0; i < n * n; i++) way[i] = next_random() % 7 ? 1000000 : (int32_t)(next_random() % 999);
    for (int via = 0; via < n; via++)
        for (int from = 0; from < n; from++) {
            int32_t first = way[from * n + via];
            for (int to = 0; to < n; to++) {
                int32_t total = first + way[via * n + to];
                if (total < way[from * n + to]) way[from * n + to] = total;
            }
        }
    return print_sum(sum_bits(way, sizeof *way * n * n));
}
