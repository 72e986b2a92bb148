#include <stdio.h>

static inline int divides(int a, int b) {
  return b % a == 0;
}

static int is_prime(int n) {
  for (int d = 2; d * d <= n; d++)
    if (divides(d, n))
      return 0;
  return 1;
}

int main(void) {
  int found = 0;
  for (int n = 2; n < 30; n++)
    found += is_prime(n);
  printf("%d primes\n", found);
  return 0;
}
