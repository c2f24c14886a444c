// crasher: crashes in a named way, three calls deep: level3, called by level2, called by level1.
//
//   crasher [FLAG...] KIND
//
//   KIND          signal         by
//   null          SIGSEGV        reading at 4 or 8, through a null pointer
//   wild          SIGSEGV        writing to an address where nothing is mapped
//   noncanonical  SIGSEGV        reading at an address that no mapping can have (amd64: SI_KERNEL, no address; mips: SIGBUS)
//   exec          SIGSEGV        jumping to address 0
//   stack         SIGSEGV        endless recursion
//   abort         SIGABRT        abort()
//   fpe           SIGFPE         division by zero (raise() where the processor does not trap)
//   ill           SIGILL         an undefined instruction (mips: raise())
//   bus           SIGBUS         reading a mapping beyond the end of its file
//   trap          SIGTRAP        a breakpoint instruction (s390x: raise(); its kernel makes SIGILL of it without a tracer)
//   sys           SIGSYS         a system call that seccomp refuses
//   none          -              it does not crash, and ends with status 0
//
//   --in main|thread|child       what crashes: the main thread (default), a thread named crash-thread, a forked child
//   --threads N                  N further threads named worker-0, ... that wait
//   --wait                       after "ready PID", wait for a byte on standard input before the crash
//   --handler FILE               handle the signal: write FILE.siginfo (siginfo_t) and FILE.ucontext (ucontext_t), on amd64
//                                also FILE.fpregs (512 bytes, FXSAVE) and FILE.context, all of it in the layout of the Rust
//                                type crash_context::CrashContext (ucontext_t of glibc, FXSAVE, signalfd_siginfo, pid, tid); print
//                                "crashed PID TID", wait for a byte or the end of standard input, and exit with 3
//
// Without --handler it dies of the signal. With --in child the parent prints "child PID" and ends as the child did.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static const char *kind, *handler_file;

static void write_file(const char *suffix, const void *data, size_t size) {
  char path[4096];
  snprintf(path, sizeof path, "%s.%s", handler_file, suffix);
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) _exit(4);
  close(fd);
}

#ifdef __x86_64__
// The layout of crash_context::CrashContext. musl's ucontext_t is shorter than glibc's 968 bytes.
static struct {
  char ucontext[968];
  char fpregs[512];
  struct signalfd_siginfo siginfo;
  int32_t pid, tid;
} context;
_Static_assert(sizeof context == 968 + 512 + 128 + 8, "layout of CrashContext");

static void write_context(siginfo_t *info, ucontext_t *uc, int tid) {
  memcpy(context.ucontext, uc, sizeof *uc < sizeof context.ucontext ? sizeof *uc : sizeof context.ucontext);
  memcpy(context.fpregs, uc->uc_mcontext.fpregs, sizeof context.fpregs);
  context.siginfo.ssi_signo = info->si_signo;
  context.siginfo.ssi_errno = info->si_errno;
  context.siginfo.ssi_code = info->si_code;
  context.siginfo.ssi_addr = (uintptr_t)info->si_addr;
  context.pid = getpid();
  context.tid = tid;
  write_file("fpregs", context.fpregs, sizeof context.fpregs);
  write_file("context", &context, sizeof context);
}
#else
static void write_context(siginfo_t *info, ucontext_t *uc, int tid) {
  (void)info;
  (void)uc;
  (void)tid;
}
#endif

static void on_crash(int signal, siginfo_t *info, void *uc) {
  (void)signal;
  int tid = (int)syscall(SYS_gettid);
  write_file("siginfo", info, 128); // the kernel's siginfo_t, on every architecture
  write_file("ucontext", uc, sizeof(ucontext_t));
  write_context(info, uc, tid);
  char line[64];
  int n = snprintf(line, sizeof line, "crashed %d %d\n", (int)getpid(), tid);
  if (write(1, line, n) != n) _exit(4);
  char c;
  while (read(0, &c, 1) < 0 && errno == EINTR) {
  }
  _exit(3);
}

// install_handler gives the calling thread a stack of its own for the handler: the overflowing one has no room.
static void install_handler(void) {
  if (!handler_file) return;
  stack_t stack = {.ss_sp = malloc(256 << 10), .ss_size = 256 << 10};
  if (!stack.ss_sp || sigaltstack(&stack, NULL)) exit(4);
  struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGTRAP, SIGSYS};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

struct node {
  struct node *next;
  int value;
};

static volatile int zero;

__attribute__((noinline)) int overflow(volatile char *caller) {
  volatile char frame[512];
  frame[0] = caller ? caller[0] + 1 : 0;
  return overflow(frame) + frame[0];
}

__attribute__((noinline)) static void undefined_instruction(void) {
#if defined __x86_64__ || defined __i386__
  __asm__ volatile("ud2");
#elif defined __aarch64__
  __asm__ volatile(".inst 0"); // udf #0
#elif defined __thumb__
  __asm__ volatile(".inst.n 0xde00"); // udf #0
#elif defined __arm__
  __asm__ volatile(".inst 0xe7f000f0"); // udf #0
#elif defined __s390x__
  __asm__ volatile(".short 0");
#elif defined __powerpc__ || defined __riscv
  __asm__ volatile(".long 0");
#else
  raise(SIGILL);
#endif
}

__attribute__((noinline)) static void breakpoint(void) {
#if defined __x86_64__ || defined __i386__
  __asm__ volatile("int3");
#elif defined __aarch64__
  __asm__ volatile("brk #0");
#elif defined __thumb__
  __asm__ volatile(".inst.n 0xde01"); // what the kernel takes for a breakpoint
#elif defined __arm__
  __asm__ volatile(".inst 0xe7f001f0"); // what the kernel takes for a breakpoint
#elif defined __powerpc__
  __asm__ volatile("trap");
#elif defined __riscv
  __asm__ volatile("ebreak");
#elif defined __mips__
  __asm__ volatile("break");
#else
  raise(SIGTRAP);
#endif
}

static void divide(void) {
#if defined __x86_64__ || defined __i386__ || defined __s390x__
  zero = 100 / zero;
#else
  raise(SIGFPE);
#endif
}

static int read_beyond_file(void) {
  long page = sysconf(_SC_PAGESIZE);
  int fd = memfd_create("short", 0);
  if (fd < 0 || ftruncate(fd, page)) exit(4);
  volatile char *p = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) exit(4);
  return p[page];
}

// struct sock_filter, struct sock_fprog and the constants of linux/filter.h and linux/seccomp.h: musl-gcc sees no
// linux/*.h.
struct instruction {
  uint16_t code;
  uint8_t if_true, if_false;
  uint32_t k;
};
struct program {
  unsigned short length;
  struct instruction *instructions;
};
enum { LOAD_WORD = 0x20, JUMP_EQUAL = 0x15, RETURN = 0x06, SECCOMP_MODE_FILTER = 2 };
#define SECCOMP_RET_TRAP 0x00030000u
#define SECCOMP_RET_ALLOW 0x7fff0000u

// forbidden_call makes SIGSYS by the verdict SECCOMP_RET_TRAP for getpriority alone. The number of the system call is the
// first word of struct seccomp_data.
static void forbidden_call(void) {
  struct instruction filter[] = {
      {LOAD_WORD, 0, 0, 0},
      {JUMP_EQUAL, 0, 1, SYS_getpriority},
      {RETURN, 0, 0, SECCOMP_RET_TRAP},
      {RETURN, 0, 0, SECCOMP_RET_ALLOW},
  };
  struct program program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    perror("crasher: seccomp");
    exit(4);
  }
  syscall(SYS_getpriority, 0, 0);
}

static int is(const char *name) { return !strcmp(kind, name); }

__attribute__((noinline)) int level3(struct node *n) {
  if (is("null")) return n->next->next->value + 1;
  if (is("wild")) *(volatile int *)(uintptr_t)(sizeof(void *) == 8 ? 0x100badbad0 : 0x00badba0) = 1;
  if (is("noncanonical")) return *(volatile int *)(uintptr_t)(sizeof(void *) == 8 ? 0x8000badbadbadba0 : 0xfffffff0);
  if (is("exec")) ((void (*)(void))(uintptr_t)zero)();
  if (is("stack")) return overflow(NULL);
  if (is("abort")) abort();
  if (is("fpe")) divide();
  if (is("ill")) undefined_instruction();
  if (is("bus")) return read_beyond_file();
  if (is("trap")) breakpoint();
  if (is("sys")) forbidden_call();
  return n->value;
}

__attribute__((noinline)) int level2(struct node *n, int factor) {
  int result = level3(n) * factor;
  return result ^ 7;
}

__attribute__((noinline)) int level1(int value) {
  struct node last = {NULL, 4}, first = {&last, value};
  int result = level2(&first, value);
  return result + first.value;
}

static void *crash_thread(void *unused) {
  prctl(PR_SET_NAME, "crash-thread");
  install_handler();
  level1(3);
  return unused;
}

static void *worker(void *number) {
  char name[16];
  snprintf(name, sizeof name, "worker-%d", (int)(intptr_t)number);
  prctl(PR_SET_NAME, name);
  for (;;) pause();
  return NULL;
}

// crash_in_child ends as the child did.
static int crash_in_child(void) {
  pid_t child = fork();
  if (child < 0) return 4;
  if (child == 0) {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    level1(3);
    _exit(0);
  }
  printf("child %d\n", (int)child);
  fflush(stdout);
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  signal(WTERMSIG(status), SIG_DFL);
  raise(WTERMSIG(status));
  return 4;
}

static int usage(void) {
  fprintf(stderr, "usage: crasher [--in main|thread|child] [--threads N] [--wait] [--handler FILE] KIND\n");
  return 2;
}

int main(int argc, char **argv) {
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  const char *in = "main";
  int threads = 0, waiting = 0;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--in") && i + 1 < argc) in = argv[++i];
    else if (!strcmp(argv[i], "--threads") && i + 1 < argc) threads = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--handler") && i + 1 < argc) handler_file = argv[++i];
    else if (!strcmp(argv[i], "--wait")) waiting = 1;
    else if (argv[i][0] != '-' && !kind) kind = argv[i];
    else return usage();
  }
  if (!kind) return usage();
  install_handler();
  for (int i = 0; i < threads; i++) {
    pthread_t t;
    if (pthread_create(&t, NULL, worker, (void *)(intptr_t)i)) return 4;
  }
  if (threads) usleep(50000); // so that all have their names and wait
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
  char c;
  if (waiting && read(0, &c, 1) != 1) return 4;
  if (!strcmp(in, "child")) return crash_in_child();
  if (!strcmp(in, "thread")) {
    pthread_t t;
    if (pthread_create(&t, NULL, crash_thread, NULL)) return 4;
    pthread_join(t, NULL);
    return 0;
  }
  if (strcmp(in, "main")) return usage();
  level1(3);
  return 0;
}
