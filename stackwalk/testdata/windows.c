// A Windows program that never returns from innermost. It prints "ready".
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#define FUNCTION __attribute__((noinline, noclone)) void

static volatile int sink;

FUNCTION innermost(void) {
  puts("ready");
  fflush(stdout);
  for (;;) sink++;
}
FUNCTION large(int n) { // more than a page, so that it probes its stack
  volatile char buffer[70000];
  buffer[n] = 1;
  innermost();
  sink = buffer[n];
}
FUNCTION with_alloca(int n) {
  volatile char *p = alloca(n);
  p[n / 2] = 1;
  large(n);
  sink = p[n / 2];
}
FUNCTION deep(int n) {
  if (n == 0)
    with_alloca(1000 + sink);
  else
    deep(n - 1);
  sink = n;
}
static int compare(const void *a, const void *b) {
  deep(5);
  return *(const int *)a - *(const int *)b;
}
FUNCTION saves(double x, double y) { // floating-point registers too
  int numbers[] = {3, 1, 2};
  qsort(numbers, 3, sizeof numbers[0], compare);
  sink = (int)(x * y) + numbers[0];
}
int main(int argc, char **argv) {
  saves(argc, argc + 1);
  return sink;
}
