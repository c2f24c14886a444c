// A process whose threads wait in system calls of all kinds, each again and again, and check the result each time. "ready PID" is
// printed when all have begun. For each byte of standard input a line "NAME COUNT INTERRUPTED WRONG RESULT MILLISECONDS" is printed for
// each thread, and an empty line: how many calls it made, how many of them ended with EINTR, and how many had another result than they
// must have, or ended too early, with the last of those results, and its time. A socket counts in ticks, of which a machine that is late
// makes several at once, so that its time is not checked.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct call {
  const char *name;
  long (*make)(struct call *); // one call; returns its result, or an error number as a negative value
  long want;                   // the result
  int milliseconds;            // that it takes at least; 0: any time
  volatile long count, interrupted, wrong, last;
  volatile double took;
  int fd[2];
  int begun;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static struct timespec after(clockid_t clock, long ns) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ns;
  if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
  return t;
}

static long result(long r) { return r < 0 ? -errno : r; }
static struct timespec ten = {0, 10000000};

static long sleep_short(struct call *c) { return (void)c, result(nanosleep(&ten, NULL)); }
static long sleep_long(struct call *c) { return (void)c, result(nanosleep(&(struct timespec){1, 0}, NULL)); }
static long sleep_until(struct call *c) {
  struct timespec t = after(CLOCK_MONOTONIC, 10000000);
  (void)c;
  return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}
static long poll_timeout(struct call *c) { return (void)c, result(poll(NULL, 0, 10)); }
static long ppoll_mask(struct call *c) {
  sigset_t none;
  sigemptyset(&none);
  return (void)c, result(ppoll(NULL, 0, &ten, &none));
}
static long select_timeout(struct call *c) { return (void)c, result(select(0, NULL, NULL, NULL, &(struct timeval){0, 10000})); }
static long pselect_timeout(struct call *c) { return (void)c, result(pselect(0, NULL, NULL, NULL, &ten, NULL)); }
static long epoll_timeout(struct call *c) {
  struct epoll_event e;
  if (!c->begun) c->begun = 1, c->fd[0] = epoll_create1(0);
  return result(epoll_wait(c->fd[0], &e, 1, 10));
}
static long futex_timeout(struct call *c) {
  static int word;
  return (void)c, result(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ten, NULL, 0));
}
static long futex_until(struct call *c) {
  static int word;
  struct timespec t = after(CLOCK_MONOTONIC, 10000000);
  return (void)c, result(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY));
}
static long signal_timeout(struct call *c) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 7);
  if (!c->begun) c->begun = 1, pthread_sigmask(SIG_BLOCK, &set, NULL);
  return result(sigtimedwait(&set, NULL, &ten));
}
static long receive_timeout(struct call *c) {
  char b;
  if (!c->begun) {
    c->begun = 1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, c->fd);
    struct timeval t = {0, 20000};
    setsockopt(c->fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  }
  return result(recv(c->fd[0], &b, 1, 0));
}
static long semaphore_timeout(struct call *c) {
  if (!c->begun) c->begun = 1, c->fd[0] = semget(IPC_PRIVATE, 1, 0600);
  struct sembuf down = {0, -1, 0};
  return result(semtimedop(c->fd[0], &down, 1, &ten));
}

// every has a child do something all 7 ms.
static void every(struct call *c, void (*step)(struct call *)) {
  if (fork()) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    nanosleep(&(struct timespec){0, 7000000}, NULL);
    step(c);
  }
}
static void write_byte(struct call *c) {
  if (write(c->fd[1], "x", 1) < 0) _exit(1);
}
static long pipe_read(struct call *c) {
  char b;
  if (!c->begun) {
    c->begun = 1;
    if (pipe(c->fd)) return -errno;
    every(c, write_byte);
  }
  return result(read(c->fd[0], &b, 1));
}
static void add_one(struct call *c) { eventfd_write(c->fd[0], 1); }
static long event_read(struct call *c) {
  uint64_t v;
  if (!c->begun) c->begun = 1, c->fd[0] = eventfd(0, 0), every(c, add_one);
  return result(read(c->fd[0], &v, 8));
}
static long timer_read(struct call *c) {
  uint64_t v;
  if (!c->begun) {
    c->begun = 1, c->fd[0] = timerfd_create(CLOCK_MONOTONIC, 0);
    timerfd_settime(c->fd[0], 0, &(struct itimerspec){{0, 7000000}, {0, 7000000}}, NULL);
  }
  return result(read(c->fd[0], &v, 8));
}
static void send_message(struct call *c) { msgsnd(c->fd[0], &(struct { long type; char b; }){1, 'x'}, 1, 0); }
static long message_receive(struct call *c) {
  struct { long type; char b; } m;
  if (!c->begun) c->begun = 1, c->fd[0] = msgget(IPC_PRIVATE, 0600), every(c, send_message);
  return result(msgrcv(c->fd[0], &m, 1, 0, 0));
}
static void connect_once(struct call *c) {
  struct sockaddr_un a;
  socklen_t n = sizeof a;
  getsockname(c->fd[0], (void *)&a, &n);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  connect(s, (void *)&a, n);
  close(s);
}
static long accept_one(struct call *c) {
  if (!c->begun) {
    c->begun = 1, c->fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX}; // the kernel chooses an abstract name: unix(7), "Autobind feature"
    if (bind(c->fd[0], (void *)&a, sizeof a.sun_family) || listen(c->fd[0], 5)) return -errno;
    every(c, connect_once);
  }
  int s = accept(c->fd[0], NULL, NULL);
  if (s < 0) return -errno;
  close(s);
  return 0;
}
static int open_temporary(void) {
  char name[] = "/tmp/callsXXXXXX";
  int fd = mkstemp(name);
  unlink(name);
  return fd;
}
static void hold_lock(struct call *c) {
  static int fd = -1;
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", c->fd[0]);
  if (fd < 0) fd = open(name, O_RDWR); // a description of its own
  flock(fd, LOCK_EX);
  nanosleep(&(struct timespec){0, 3000000}, NULL);
  flock(fd, LOCK_UN);
}
static long file_lock(struct call *c) {
  if (!c->begun) c->begun = 1, c->fd[0] = open_temporary(), every(c, hold_lock);
  long r = result(flock(c->fd[0], LOCK_EX));
  flock(c->fd[0], LOCK_UN);
  nanosleep(&(struct timespec){0, 1000000}, NULL);
  return r;
}
static void hold_record(struct call *c) {
  struct flock l = {.l_type = F_WRLCK};
  fcntl(c->fd[0], F_SETLKW, &l);
  nanosleep(&(struct timespec){0, 3000000}, NULL);
  l.l_type = F_UNLCK;
  fcntl(c->fd[0], F_SETLK, &l);
}
static long record_lock(struct call *c) {
  if (!c->begun) c->begun = 1, c->fd[0] = open_temporary(), every(c, hold_record);
  struct flock l = {.l_type = F_WRLCK};
  long r = result(fcntl(c->fd[0], F_SETLKW, &l));
  l.l_type = F_UNLCK;
  fcntl(c->fd[0], F_SETLK, &l);
  nanosleep(&(struct timespec){0, 1000000}, NULL);
  return r;
}
static long wait_child(struct call *c) {
  int status;
  pid_t p = fork();
  (void)c;
  if (p == 0) {
    nanosleep(&ten, NULL);
    _exit(7);
  }
  pid_t got;
  do got = waitpid(p, &status, 0);
  while (got < 0 && errno == EINTR);
  return got == p && WIFEXITED(status) ? WEXITSTATUS(status) : -errno;
}

// keep_vectors spins with numbers in a vector register that a system call does not keep, and returns whether they are there.
static int keep_vectors(void) {
  unsigned long lost = 0;
#if defined(__aarch64__)
  if (getauxval(AT_HWCAP) & HWCAP_SVE)
    asm volatile(".arch_extension sve\n index z0.d, #1, #1\n mov x9, #0x200000\n"
                 "1: subs x9, x9, #1\n b.ne 1b\n"
                 "ptrue p0.d\n index z1.d, #1, #1\n cmpne p1.d, p0/z, z0.d, z1.d\n cset %0, ne\n"
                 : "=r"(lost) : : "x9", "v0", "v1", "p0", "p1", "cc");
#elif defined(__riscv)
  if (getauxval(AT_HWCAP) & 1 << ('V' - 'A'))
    asm volatile(".option push\n .option arch, +v\n vsetvli t0, zero, e64, m1, ta, ma\n vid.v v1\n li t0, 2000000\n"
                 "1: addi t0, t0, -1\n bnez t0, 1b\n"
                 "vsetvli t0, zero, e64, m1, ta, ma\n vid.v v2\n vmsne.vv v0, v1, v2\n vcpop.m %0, v0\n .option pop\n"
                 : "=r"(lost) : : "t0");
#endif
  return lost == 0;
}
static long spin(struct call *c) {
  volatile unsigned long x = 1;
  uint64_t sum = 0;
  double t = now();
  (void)c;
  for (int i = 0; i < 1000000; i++) sum += i * x;
  int kept = keep_vectors();
  while (now() - t < 5) usleep(1000);
  return !kept ? -2 : sum == 499999500000 ? 0 : -1;
}

static struct call calls[] = {
    {"nanosleep", sleep_short, 0, 10},
    {"nanosleep-1s", sleep_long, 0, 1000},
    {"clock_nanosleep-until", sleep_until, 0, 9},
    {"poll", poll_timeout, 0, 10},
    {"ppoll-mask", ppoll_mask, 0, 10},
    {"select", select_timeout, 0, 10},
    {"pselect", pselect_timeout, 0, 10},
    {"epoll_wait", epoll_timeout, 0, 10},
    {"futex", futex_timeout, -ETIMEDOUT, 10},
    {"futex-until", futex_until, -ETIMEDOUT, 9},
    {"sigtimedwait", signal_timeout, -EAGAIN, 10},
    {"recv-timeout", receive_timeout, -EAGAIN, 0},
    {"semtimedop", semaphore_timeout, -EAGAIN, 10},
    {"pipe-read", pipe_read, 1, 0},
    {"eventfd-read", event_read, 8, 0},
    {"timerfd-read", timer_read, 8, 0},
    {"msgrcv", message_receive, 1, 0},
    {"accept", accept_one, 0, 0},
    {"flock", file_lock, 0, 0},
    {"fcntl-lock", record_lock, 0, 0},
    {"wait-child", wait_child, 7, 0},
    {"spin", spin, 0, 0},
};

static void *repeat(void *p) {
  struct call *c = p;
  for (;;) {
    double t = now();
    long r = c->make(c);
    double took = now() - t;
    if (r == -EINTR)
      c->interrupted++;
    else if (r != c->want || took < c->milliseconds - 0.1)
      c->wrong++, c->last = r, c->took = took;
    c->count++;
  }
  return p;
}

int main(void) {
  enum { N = sizeof calls / sizeof *calls };
  pthread_t t;
  for (int i = 0; i < N; i++)
    if (pthread_create(&t, NULL, repeat, &calls[i])) return 1;
  for (int i = 0; i < N; i++)
    while (!calls[i].count) usleep(1000);
  printf("ready %d\n", getpid());
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) == 1) {
    for (int i = 0; i < N; i++) {
      struct call *c = &calls[i];
      printf("%s %ld %ld %ld %ld %.3f\n", c->name, c->count, c->interrupted, c->wrong, c->last, c->took);
    }
    printf("\n");
    fflush(stdout);
  }
  semctl(calls[12].fd[0], 0, IPC_RMID);
  msgctl(calls[16].fd[0], IPC_RMID, NULL);
  return 0;
}
