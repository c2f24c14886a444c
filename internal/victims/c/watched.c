// watched: what a program can do that its watcher must cope with.
//
//   watched handler HOW [alt [abort]]  a fault at 0x20 that is caught (with alt: on another stack), and the handler
//       jump      leaves by siglongjmp, a thousand times: exit status 0, or abort() after that
//       abort, raise, refault, nested  calls abort(), raises SIGSEGV anew by default, returns to the fault, faults at 0x30
//       exit      ends with status 9
//   watched overflow          endless recursion, caught by a handler for which there is no room: SIGSEGV
//   watched exec N KIND       a second thread executes the program anew, N times; then KIND: null (SIGSEGV) or exit
//                             (status 8)
//   watched tree DEPTH        two children, each of which has two, and so on: status 5
//   watched clone             a child that is no thread and sends no SIGCHLD: status 6
//   watched lost              a seccomp filter kills one thread (SIGSYS); 200 ms later the main one calls abort()
//   watched orphan            ends with 0 and leaves a child that crashes after 300 ms
//   watched signals           prints "ready PID", then "got N" for each signal; ends with 42 at SIGTERM
//   watched blocked           the same by sigwait, with all signals blocked
//   watched leaderless        as signals, on another thread when the first one has ended
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static const char *how;

__attribute__((noinline)) static void fault(long address) { *(volatile int *)address = 1; }

static void handler(int s, siginfo_t *info, void *context) {
  (void)info;
  (void)context;
  if (!strcmp(how, "jump")) siglongjmp(back, 1);
  if (!strcmp(how, "abort")) abort();
  if (!strcmp(how, "exit")) _exit(9);
  if (!strcmp(how, "nested")) fault(0x30);
  signal(s, SIG_DFL);
  if (!strcmp(how, "refault")) return;
  raise(s);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, s);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int handle(int argc, char **argv) {
  how = argv[2];
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  if (argc > 3) {
    sigaltstack(&stack, NULL);
    action.sa_flags |= SA_ONSTACK;
  }
  sigaction(SIGSEGV, &action, NULL);
  int times = strcmp(how, "jump") ? 1 : 1000;
  for (volatile int i = 0; i < times; i++)
    if (!sigsetjmp(back, 1)) fault(0x20);
  if (argc > 4) abort();
  return 0;
}

static void quit(int s) { _exit(s); }

__attribute__((noinline)) int overflow(volatile char *caller) {
  volatile char frame[512];
  frame[0] = caller ? caller[0] + 1 : 0;
  return overflow(frame) + frame[0];
}

static char **args;

static void *execute(void *unused) {
  usleep(1000);
  execv("/proc/self/exe", args);
  _exit(4);
  return unused;
}

static void *spin(void *unused) {
  for (;;) sched_yield();
  return unused;
}

static int exec_again(char **argv) {
  int n = atoi(argv[2]);
  if (n == 0) {
    if (!strcmp(argv[3], "null")) fault(8);
    return 8;
  }
  static char number[16];
  snprintf(number, sizeof number, "%d", n - 1);
  static char *next[5];
  next[0] = argv[0], next[1] = argv[1], next[2] = number, next[3] = argv[3];
  args = next;
  pthread_t t;
  for (int i = 0; i < 3; i++)
    if (pthread_create(&t, NULL, spin, NULL)) return 4;
  if (pthread_create(&t, NULL, execute, NULL)) return 4;
  for (;;) pause();
}

static int tree(int depth) {
  for (int i = 0; i < 2 && depth > 0; i++) {
    pid_t child = fork();
    if (child < 0) return 4;
    if (child == 0) _exit(tree(depth - 1));
  }
  int status;
  while (wait(&status) > 0)
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 5) return 4;
  return 5;
}

// struct sock_filter and struct sock_fprog of linux/filter.h, which musl-gcc does not see.
struct instruction {
  unsigned short code;
  unsigned char if_true, if_false;
  unsigned k;
};
struct program {
  unsigned short length;
  struct instruction *instructions;
};

static void *forbidden_call(void *unused) {
  struct instruction filter[] = {
      {0x20, 0, 0, 0}, // the number of the system call
      {0x15, 0, 1, SYS_getpriority},
      {0x06, 0, 0, 0}, // SECCOMP_RET_KILL_THREAD
      {0x06, 0, 0, 0x7fff0000u}, // SECCOMP_RET_ALLOW
  };
  struct program program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &program)) exit(4);
  syscall(SYS_getpriority, 0, 0);
  return unused;
}

static int lost_thread(void) {
  pthread_t t;
  if (pthread_create(&t, NULL, forbidden_call, NULL)) return 4;
  pthread_join(t, NULL);
  usleep(200000);
  abort();
}

static int in_clone(void *unused) {
  (void)unused;
  return 3;
}

static int no_thread(void) {
  static char stack[1 << 16] __attribute__((aligned(16)));
  int status, child = clone(in_clone, stack + sizeof stack, 0, NULL);
  if (child < 0 || waitpid(child, &status, __WCLONE) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 3) return 4;
  return 6;
}

static void got(int s) {
  char line[32];
  int n = snprintf(line, sizeof line, "got %d\n", s);
  if (write(1, line, n) != n || s == SIGTERM) _exit(42);
}

static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH, SIGCONT, 40};

static int signals(int blocked) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
    sigaddset(&set, caught[i]);
    if (!blocked) signal(caught[i], got);
  }
  if (blocked) sigprocmask(SIG_BLOCK, &set, NULL);
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
  for (;;) {
    int s;
    if (!blocked) pause();
    else if (!sigwait(&set, &s)) got(s);
  }
}

static void *wait_for_signals(void *unused) {
  (void)unused;
  usleep(100000); /* until the first thread has ended */
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
  for (;;) pause();
}

static int leaderless(void) {
  pthread_t t;
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) signal(caught[i], got);
  if (pthread_create(&t, NULL, wait_for_signals, NULL)) return 4;
  pthread_exit(NULL);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (!strcmp(mode, "handler") && argc > 2) return handle(argc, argv);
  if (!strcmp(mode, "overflow")) {
    signal(SIGSEGV, quit);
    return overflow(NULL);
  }
  if (!strcmp(mode, "exec") && argc > 3) return exec_again(argv);
  if (!strcmp(mode, "tree") && argc > 2) return tree(atoi(argv[2]));
  if (!strcmp(mode, "clone")) return no_thread();
  if (!strcmp(mode, "lost")) return lost_thread();
  if (!strcmp(mode, "orphan")) {
    if (fork() == 0) {
      usleep(300000);
      fault(8);
    }
    return 0;
  }
  if (!strcmp(mode, "signals")) return signals(0);
  if (!strcmp(mode, "blocked")) return signals(1);
  if (!strcmp(mode, "leaderless")) return leaderless();
  return 2;
}
