/* The longest of the 3n+1 walks that start below the size: branches, no memory. */
#define SIZE 2200000
#include "kernel.h"

int main(int argc, char **argv) {
    int limit = run_size(argc, argv);
    uint32_t longest = 0, start = 0;
    uint64_t all = 0;
    for (int first = 1; first < limit; first++) {
        uint64_t at = first;
        uint32_t steps = 0;
        while (at != 1) {
            at = at & 1 ? 3 * at + 1 : at >> 1;
            steps++;
        }
        all += steps;
        if (steps > longest) {
            longest = steps;
            start = first;
        }
    }
    return print_sum(all * 1000003 + longest * 31u + start);
}
