static int twice(int x) {                          // 9
  int y = x + x;                                   // 9
  return y;                                        // 9
}

static inline __attribute__((always_inline)) int half(int x) {
  while (x > 100)                                  // 45
    x -= 1;                                        // 0
  return x / 2;                                    // 45
}

__attribute__((noinline)) int collatz(int n) {     // 9
  int steps = 0;                                   // 9
  while (n != 1) {                                 // 70
    if (n % 2 == 0)                                // 61
      n = half(n);                                 // 45
    else
      n = 3 * n + 1;                               // 16
    steps++;                                       // 61
  }
  return steps;                                    // 9
}

__attribute__((export_name("run"))) int run(void) { // 1
  int sum = 0;                                     // 1
  for (int i = 1; i < 10; i++)                     // 10
    sum += twice(i) + collatz(i);                  // 9
  for (int i = 0; i < 3; i++) sum ^= i;            // 1
  switch (sum) {                                   // 1
    case 5: return 1;                              // 0
    default: sum += 2;                             // 1
  }
  return sum;                                      // 1
}                                                  // 1
