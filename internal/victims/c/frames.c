// A program that stops in the middle of calls whose frames are known:
//
//   frames WAY... END
//
// Each WAY leads one function further down: plain (three functions, one with a buffer), alloca (a frame of variable size), deep (64 calls
// of one function), qsort (its callback), pointer (a call through a pointer), signal (a handler, of a signal that is raised), fault (a
// handler, of a fault), handled-leaf (the same, of a fault in a function that calls nothing), onstack (fault, with the handler on an alternate
// stack), info (fault, with SA_SIGINFO), thread (a second thread). END is what the innermost function does: wait (after "ready PID"), crash
// (writes to 0x1110), leaf (so does a function that calls nothing), null (calls address 0), or abort.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noclone)) void
#define DONE __asm__ volatile("" ::: "memory") // keeps a call from being the last act of its function

static char **way;
static volatile int sink;
void go_on(void);

FUNCTION leaf(volatile int *p) { *p = 1; }

FUNCTION innermost(void) {
  void (*volatile nowhere)(void) = 0;
  const char *end = *way;
  if (!strcmp(end, "crash")) *(volatile int *)0x1110 = 1;
  if (!strcmp(end, "leaf")) leaf((int *)0x1110);
  if (!strcmp(end, "null")) nowhere();
  if (!strcmp(end, "abort")) abort();
  printf("ready %d\n", getpid());
  fflush(stdout);
  for (;;) pause();
}

FUNCTION plain3(int n) {
  volatile char buffer[300];
  buffer[n] = 1;
  go_on();
  sink = buffer[n];
}
FUNCTION plain2(int a, int b, int c, int d, int e, int f, int g, int h) {
  sink = a + b + c + d + e + f + g + h;
  plain3(a);
  sink = a + h;
}
FUNCTION plain1(void) {
  plain2(1, 2, 3, 4, 5, 6, 7, 8);
  DONE;
}

FUNCTION with_alloca(int n) {
  volatile char *p = alloca(n);
  p[n / 2] = 1;
  go_on();
  sink = p[n / 2];
}

FUNCTION deep(int n) {
  if (n == 0)
    go_on();
  else
    deep(n - 1);
  sink = n;
}

static int compare(const void *a, const void *b) {
  go_on();
  return *(const int *)a - *(const int *)b;
}
FUNCTION sort(void) {
  int numbers[] = {3, 1, 2};
  qsort(numbers, 3, sizeof numbers[0], compare);
  sink = numbers[0];
}

FUNCTION pointed(void) {
  go_on();
  DONE;
}
FUNCTION pointer(void) {
  void (*volatile p)(void) = pointed;
  p();
  DONE;
}

static void handler(int sig) {
  go_on();
  sink = sig;
}
static void handler_info(int sig, siginfo_t *info, void *context) {
  go_on();
  sink = sig + info->si_code + !context;
}
FUNCTION install(int sig, int flags) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = handler;
  if (flags & SA_SIGINFO) sa.sa_sigaction = handler_info;
  sa.sa_flags = flags | SA_NODEFER | SA_RESETHAND;  // a further fault ends the program
  sigaction(sig, &sa, 0);
}
FUNCTION raised(void) {
  install(SIGUSR1, 0);
  raise(SIGUSR1);
  DONE;
}
FUNCTION faulted(int flags) {
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  if (flags & SA_ONSTACK) sigaltstack(&stack, 0);
  install(SIGSEGV, flags);
  *(volatile int *)0x2220 = 1;
  DONE;
}
FUNCTION faulted_in_leaf(void) {
  install(SIGSEGV, 0);
  leaf((int *)0x2220);
  DONE;
}

static void *in_thread(void *unused) {
  go_on();
  return unused;
}
FUNCTION thread(void) {
  pthread_t t;
  pthread_create(&t, 0, in_thread, 0);
  pthread_join(t, 0);
  DONE;
}

FUNCTION go_on(void) {
  const char *w = *++way;
  if (!strcmp(w, "plain")) plain1();
  else if (!strcmp(w, "alloca")) with_alloca(1000 + getpid() % 100);
  else if (!strcmp(w, "deep")) deep(63);
  else if (!strcmp(w, "qsort")) sort();
  else if (!strcmp(w, "pointer")) pointer();
  else if (!strcmp(w, "signal")) raised();
  else if (!strcmp(w, "fault")) faulted(0);
  else if (!strcmp(w, "handled-leaf")) faulted_in_leaf();
  else if (!strcmp(w, "onstack")) faulted(SA_ONSTACK | SA_SIGINFO);
  else if (!strcmp(w, "info")) faulted(SA_SIGINFO);
  else if (!strcmp(w, "thread")) thread();
  else innermost();
  DONE;
}

int main(int argc, char **argv) {
  way = argv;
  if (argc < 2) return 2;
  go_on();
  DONE;
  return 0;
}
