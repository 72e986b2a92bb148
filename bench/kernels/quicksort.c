/* Recursive sorting of fresh numbers, the middle one as the pivot. */
#define SIZE 3000000
#include "kernel.h"

static void sort(uint32_t *low, uint32_t *high) {
    while (low < high) {
        uint32_t pivot = low[(high - low) / 2], *left = low, *right = high;
        while (left <= right) {
            while (*left < pivot) left++;
            while (*right > pivot) right--;
            if (left <= right) {
                uint32_t held = *left;
                *left++ = *right;
                *right-- = held;
            }
        }
        if (right - low < high - left) {
            sort(low, right);
            low = left;
        } else {
            sort(left, high);
            high = right;
        }
    }
}

int main(int argc, char **argv) {
    int n = run_size(argc, argv);
    uint32_t *numbers = malloc(sizeof *numbers * n);
    if (!numbers) return 1;
    for (int i = 0; i < n; i++) numbers[i] = next_random();
    sort(numbers, numbers + n - 1);
    return print_sum(sum_bits(numbers, sizeof *numbers * n));
}
