/* Primes below the size, by striking out. */
#define SIZE 56000000
#include "kernel.h"

int main(int argc, char **argv) {
    int limit = run_size(argc, argv);
    unsigned char *struck = calloc(limit, 1);
    if (!struck) return 1;
    uint64_t count = 0, sum = 0;
    for (int number = 2; number < limit; number++) {
        if (struck[number]) continue;
        count++;
        sum = sum * 31 + number;
        if ((int64_t)number * number < limit)
            for (int multiple = number * number; multiple < limit; multiple += number) struck[multiple] = 1;
    }
    return print_sum(sum ^ count << 32);
}
