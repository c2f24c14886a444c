// A program that crashes and does not get further than its signal handler:
//
//   interrupted [--plain] [--same] [--nested] [--thread] [--large] END
//
// It prints "ready PID", reads a byte, and writes to 0x1110 in crash(), which middle() and outer() have called. The handler runs on an
// alternate stack, without --same. END is what it does: wait (after "handling TID"), abort, or raise (the signal again, with the
// default action). --plain: the handler is installed without SA_SIGINFO. --nested: while it runs it raises and repairs further
// faults on purpose, as crash reporters do that probe memory. --thread: all this happens in a second thread. --large: the handler has an array of 32 KB on
// its stack which it never uses, so there are no pages between SP and the signal frame.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *end = "wait";
static int plain, same, nested, in_thread, large;
static volatile int handling;
static sigjmp_buf probe;

static void handle(int sig) {
  if (handling) siglongjmp(probe, 1);
  handling = 1;
  for (volatile int i = 0; nested && i < 5; i++)
    if (!sigsetjmp(probe, 1)) *(volatile int *)0x2220 = i;
  if (!strcmp(end, "abort")) abort();
  if (!strcmp(end, "raise")) {
    signal(sig, SIG_DFL);
    raise(sig);
    return;
  }
  printf("handling %ld\n", syscall(SYS_gettid));
  fflush(stdout);
  for (;;) pause();
}

__attribute__((noinline)) static void wait_far_below(int sig) {
  volatile char unused[32 << 10] __attribute__((aligned(4096)));
  __asm__ volatile("" : : "r"(unused) : "memory");
  handle(sig);
}

static void handle_info(int sig, siginfo_t *info, void *context) {
  (void)info, (void)context;
  if (large) wait_far_below(sig);
  else handle(sig);
}

__attribute__((noinline)) static int crash(volatile int *p) {
  volatile char pad[500];
  pad[1] = 1;
  *p = 1;
  return pad[1];
}
__attribute__((noinline)) static int middle(volatile int *p) {
  volatile char pad[500];
  pad[1] = crash(p);
  return pad[1] + 1;
}
__attribute__((noinline)) static int outer(volatile int *p) {
  volatile char pad[500];
  pad[1] = middle(p);
  return pad[1] + 1;
}

static void *go(void *arg) {
  stack_t s = {.ss_size = 65536};
  s.ss_sp = mmap(0, s.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  sigaltstack(&s, 0);
  struct sigaction a = {.sa_flags = SA_NODEFER};
  if (plain) {
    a.sa_handler = handle;
  } else {
    a.sa_sigaction = handle_info;
    a.sa_flags |= SA_SIGINFO;
  }
  if (!same) a.sa_flags |= SA_ONSTACK;
  if (!nested) a.sa_flags &= ~SA_NODEFER;
  sigaction(SIGSEGV, &a, 0);
  outer((int *)0x1110);
  return arg;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--plain")) plain = 1;
    else if (!strcmp(argv[i], "--same")) same = 1;
    else if (!strcmp(argv[i], "--nested")) nested = 1;
    else if (!strcmp(argv[i], "--thread")) in_thread = 1;
    else if (!strcmp(argv[i], "--large")) large = 1;
    else end = argv[i];
  }
  printf("ready %d\n", getpid());
  fflush(stdout);
  getchar();
  if (in_thread) {
    pthread_t t;
    pthread_create(&t, 0, go, 0);
    pthread_join(t, 0);
  }
  go(0);
  return 0;
}
