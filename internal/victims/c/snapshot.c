// A process that a snapshot must not disturb:
//
//   snapshot MIB [--still] [--seccomp] [--nproc] [--fault]
//
// It has MIB of private memory, in whose pages one thread writes the number of its round, page after page: at any moment the pages
// hold one number up to some page, and the number before from there on. --still: it writes one round only. Besides it has a page of
// each kind: shared, MADV_DONTFORK, MADV_WIPEONFORK. It prints "ready PID", and in a second line the
// addresses, in hexadecimal. Another thread asks for children (there must be none), its signal mask, and the handler of SIGTRAP (which must stay).
// For each byte of standard input it prints "gap MICROSECONDS rounds N wrong N": the longest time that the main thread did not run,
// the rounds, and how often something was not as it must be.
//
// --seccomp: with a filter that allows everything. --nproc: as a user who may have no more processes. --fault: with a userfaultfd.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *private_memory;
static size_t size;
static long page;
static int still;
static volatile unsigned long rounds, wrong;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void on_signal(int sig) {
  (void)sig;
  wrong++; // none comes
}

static void fill(void) {
  unsigned long n = rounds + 1;
  for (size_t i = 0; i < size; i += page) *(volatile unsigned long *)(private_memory + i) = n;
  rounds = n;
}

static void *write_memory(void *unused) {
  while (!still) fill();
  return unused;
}

static void *ask(void *unused) {
  sigset_t mine, set;
  sigemptyset(&mine);
  sigaddset(&mine, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &mine, NULL);
  for (;;) {
    struct sigaction a;
    errno = 0;
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) wrong++;
    if (sigaction(SIGTRAP, NULL, &a) || a.sa_handler != on_signal) wrong++;
    if (sigaction(SIGCHLD, NULL, &a) || a.sa_handler != on_signal) wrong++;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    for (int s = 1; s < 32; s++)
      if (sigismember(&set, s) != sigismember(&mine, s)) wrong++;
    usleep(1000);
  }
  return unused;
}

static char *map(int flags, int advice) {
  char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || (advice >= 0 && madvise(p, page, advice))) exit(1);
  memset(p, 'k', page);
  return p;
}

static void filter_calls(void) {
  struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {1, allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(2);
}

static void serve_faults(void) {
  int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1); // UFFD_USER_MODE_ONLY
  struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
  if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
    api = (struct uffdio_api){.api = UFFD_API};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) exit(3);
  }
  char *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register r = {.range = {(uintptr_t)p, page}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  if (ioctl(fd, UFFDIO_REGISTER, &r)) exit(3);
}

int main(int argc, char **argv) {
  page = sysconf(_SC_PAGESIZE);
  size = (size_t)atol(argv[1]) << 20;
  private_memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (argc < 2 || private_memory == MAP_FAILED) return 1;
  madvise(private_memory, size, MADV_NOHUGEPAGE);
  fill();
  char *shared = map(MAP_SHARED, -1), *dontfork = map(MAP_PRIVATE, MADV_DONTFORK), *wiped = map(MAP_PRIVATE, MADV_WIPEONFORK);
  struct sigaction handler = {.sa_handler = on_signal};
  sigaction(SIGTRAP, &handler, NULL);
  sigaction(SIGCHLD, &handler, NULL);
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "--still")) still = 1;
    if (!strcmp(argv[i], "--seccomp")) filter_calls();
    if (!strcmp(argv[i], "--fault")) serve_faults();
    if (!strcmp(argv[i], "--nproc")) {
      struct rlimit none = {0, 0};
      if (setrlimit(RLIMIT_NPROC, &none) || (getuid() == 0 && setuid(65534)) || prctl(PR_SET_DUMPABLE, 1)) return 1;
    }
  }
  pthread_t t;
  if (!(argc > 2 && !strcmp(argv[2], "--nproc")) && (pthread_create(&t, NULL, write_memory, NULL) || pthread_create(&t, NULL, ask, NULL)))
    return 1;
  printf("ready %d\n%lx %lx %lx %lx\n", getpid(), (unsigned long)private_memory, (unsigned long)shared, (unsigned long)dontfork,
         (unsigned long)wiped);
  fflush(stdout);
  double last = now(), gap = 0;
  for (;;) {
    struct pollfd in = {0, POLLIN, 0};
    char byte;
    if (poll(&in, 1, 0) == 1) {
      if (read(0, &byte, 1) != 1) return 0;
      printf("gap %.0f rounds %lu wrong %lu\n", gap, rounds, wrong);
      fflush(stdout);
      gap = 0;
    }
    if (still) usleep(1000);
    double t = now();
    if (t - last > gap) gap = t - last;
    last = t;
  }
}
