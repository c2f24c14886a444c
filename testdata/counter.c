// counter: a process that shows that it runs.
//
//   counter FILE N MS   N threads, each of which adds 1 to its word of FILE and sleeps MS milliseconds, repeatedly
//
// FILE is 4,096 bytes of 64-bit words: thread i has word i. Word 510 counts SIGUSR1, word 511 SIGRTMIN+3.
// It prints "ready PID" once all threads run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static uint64_t *words;
static struct timespec pause_time;
static pthread_barrier_t barrier;

static void on_signal(int signal) { __atomic_add_fetch(&words[signal == SIGUSR1 ? 510 : 511], 1, __ATOMIC_SEQ_CST); }

static void *count(void *number) {
  int i = (int)(intptr_t)number;
  if (i > 0) {
    char name[16];
    snprintf(name, sizeof name, "counter-%d", i);
    prctl(PR_SET_NAME, name);
  }
  pthread_barrier_wait(&barrier);
  for (;;) {
    __atomic_add_fetch(&words[i], 1, __ATOMIC_SEQ_CST);
    if (i == 0 && words[0] == 1) {
      printf("ready %d\n", (int)getpid());
      fflush(stdout);
    }
    nanosleep(&pause_time, NULL);
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  int fd = open(argv[1], O_RDWR);
  words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (words == MAP_FAILED) return 1;
  int n = atoi(argv[2]);
  pause_time.tv_nsec = atol(argv[3]) * 1000000;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGRTMIN + 3, &action, NULL);
  pthread_barrier_init(&barrier, NULL, n);
  for (int i = 1; i < n; i++) {
    pthread_t t;
    if (pthread_create(&t, NULL, count, (void *)(intptr_t)i)) return 1;
  }
  count(0);
}
