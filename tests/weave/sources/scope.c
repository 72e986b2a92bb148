struct pair { int one, two; };
__attribute__((noinline)) int sum(const char *text, struct pair *with, unsigned row[3]) {
  int total = with->one;
  int unused = total * 7;
  for (int i = 0; text[i]; i++)
    total += text[i] * with->two;
  return total + (int)row[0];
}
__attribute__((export_name("run"))) int run(void) {
  struct pair one = {1, 2};
  unsigned row[3] = {1, 2, 3};
  return sum("abc", &one, row);
}
