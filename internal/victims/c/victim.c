// victim: a process to dump.
//
//   victim idle N             N threads in all, each 20 frames deep in a futex wait, named worker-0, worker-1, ...
//   victim maps M DIR         M shared objects lib0000.so ... of DIR mapped (dynamic builds only)
//   victim big GIB N          GIB gibibytes of touched heap, N threads as above
//   victim ... --spin         the main thread records each gap over 50 us that it sees in CLOCK_MONOTONIC and prints their
//                             number, sum and greatest on SIGUSR1: the pause as the target feels it
//
// It prints "ready PID" once all of it is in place.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifndef STATIC
#include <dlfcn.h>
#endif

// musl-gcc sees no linux/*.h, so what is needed of them stands here.
#define FUTEX_WAIT 0

static int never;
static pthread_barrier_t barrier;
static volatile sig_atomic_t report;

__attribute__((noinline)) int deep(int depth, volatile char *caller) {
  volatile char frame[160];
  memset((void *)frame, depth, sizeof frame);
  if (depth == 0)
    for (;;) syscall(SYS_futex, &never, FUTEX_WAIT, 0, NULL, NULL, 0);
  int result = deep(depth - 1, frame);
  return result + frame[3] + (caller ? caller[1] : 0);
}

static void *worker(void *number) {
  char name[16];
  snprintf(name, sizeof name, "worker-%d", (int)(intptr_t)number);
  prctl(PR_SET_NAME, name);
  pthread_barrier_wait(&barrier);
  deep(20, NULL);
  return NULL;
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void on_usr1(int signal) {
  (void)signal;
  report = 1;
}

static void spin(void) {
  unsigned long long sum = 0, greatest = 0;
  int n = 0;
  uint64_t last = now();
  for (;;) {
    int reporting = report; // read before the clock, so that a gap just before the signal is in the report
    uint64_t t = now();
    if (t - last > 50000) {
      n++;
      sum += t - last;
      if (t - last > greatest) greatest = t - last;
    }
    last = t;
    if (reporting) {
      report = 0;
      printf("gaps n=%d total_ns=%llu max_ns=%llu\n", n, sum, greatest);
      n = 0;
      sum = greatest = 0;
      last = now(); // before the reader has the line, and may stop this process
      fflush(stdout);
    }
  }
}

static int map_libraries(int n, const char *dir) {
#ifdef STATIC
  (void)n;
  (void)dir;
  fprintf(stderr, "victim: a static build maps no libraries\n");
  return 1;
#else
  for (int i = 0; i < n; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/lib%04d.so", dir, i);
    if (!dlopen(path, RTLD_NOW)) {
      fprintf(stderr, "victim: %s\n", dlerror());
      return 1;
    }
  }
  return 0;
#endif
}

static int fill_heap(size_t size) {
  char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    perror("victim: mmap");
    return 1;
  }
  madvise(p, size, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < size; i += 4096) p[i] = (char)i;
  return 0;
}

static int usage(void) {
  fprintf(stderr, "usage: victim idle N | maps M DIR | big GIB N [--spin]\n");
  return 2;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  int spinning = argc > 1 && !strcmp(argv[argc - 1], "--spin");
  if (spinning) argc--;
  int others = 0;
  if (argc == 3 && !strcmp(argv[1], "idle")) {
    others = atoi(argv[2]) - 1;
  } else if (argc == 4 && !strcmp(argv[1], "maps")) {
    if (map_libraries(atoi(argv[2]), argv[3])) return 1;
  } else if (argc == 4 && !strcmp(argv[1], "big")) {
    if (fill_heap((size_t)atoi(argv[2]) << 30)) return 1;
    others = atoi(argv[3]) - 1;
  } else {
    return usage();
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  pthread_barrier_init(&barrier, NULL, others + 1);
  for (int i = 0; i < others; i++) {
    pthread_t t;
    if (pthread_create(&t, &attributes, worker, (void *)(intptr_t)i)) {
      perror("victim: pthread_create");
      return 1;
    }
  }
  pthread_barrier_wait(&barrier);
  if (spinning) signal(SIGUSR1, on_usr1);
  usleep(100000); // so that all have reached the futex
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
  if (spinning) spin();
  deep(20, NULL);
  return 0;
}
