// odd: a process that is hard to dump.
//
//   odd leader N              N threads named odd-0, ... live on after the main thread has ended
//   odd retire N              N threads of which the main one ends after a byte on standard input
//   odd churn N               N threads that each start and join short-lived threads without end
//   odd forks N               N threads that each fork and wait for their child without end; with 0 the main thread does so
//                             by wait(-1). Aborts if a wait has another result than the child's
//   odd maps N                N threads that each map, write, protect and unmap memory without end; aborts if a value changes
//   odd exec                  executes itself anew every few milliseconds, with two threads more each time
//   odd load FILE...          shared objects, loaded by the dynamic loader
//   odd map FILE OFFSET       maps the segments of the ELF image at OFFSET of FILE as a loader does: over reserved
//                             address space, so that what lies between two segments stays without access
//   odd mappings N            N mappings besides its own
//   odd fds N                 N further descriptors
//   odd undumpable            after prctl(PR_SET_DUMPABLE, 0)
//   odd strict                in seccomp's strict mode
//
// It prints "ready PID" once all of it is in place, and then waits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void ready(void) {
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
}

static int fail(const char *what) {
  perror(what);
  return 1;
}

static void *wait_forever(void *number) {
  char name[16];
  snprintf(name, sizeof name, "odd-%d", (int)(intptr_t)number);
  prctl(PR_SET_NAME, name);
  for (;;) pause();
  return NULL;
}

static int start(void *(*function)(void *), intptr_t argument) {
  pthread_t t;
  return pthread_create(&t, NULL, function, (void *)argument);
}

// tell_of_leader prints the ready line when the main thread is a zombie.
static void *tell_of_leader(void *unused) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
  for (;;) {
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    if (strstr(text, ") Z")) break;
    usleep(1000);
  }
  usleep(50000); // so that the others have their names
  ready();
  wait_forever((void *)0);
  return unused;
}

static void *come_and_go(void *unused) { return unused; }

static void *churn(void *unused) {
  for (;;) {
    pthread_t t[4];
    int n = 0;
    while (n < 4 && !pthread_create(&t[n], NULL, come_and_go, NULL)) n++;
    while (n > 0) pthread_join(t[--n], NULL);
  }
  return unused;
}

// fork_one forks a child and waits for it, or with any for whichever child ends.
static void fork_one(int any) {
  pid_t child = fork();
  if (child == 0) _exit(7);
  int status;
  if (child < 0 || waitpid(any ? -1 : child, &status, any ? 0 : __WNOTHREAD) != child || status != 7 << 8) abort();
}

static void *forks(void *unused) {
  for (;;) fork_one(0);
  return unused;
}

static void *maps(void *number) {
  size_t page = sysconf(_SC_PAGESIZE);
  for (uintptr_t value = (uintptr_t)number << 20;; value++) {
    size_t pages = 1 + value % 64;
    volatile uintptr_t *p = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) abort();
    for (size_t i = 0; i < pages; i++) p[i * page / sizeof *p] = value + i;
    if (mprotect((void *)p, page, PROT_READ)) abort();
    for (size_t i = 0; i < pages; i++)
      if (p[i * page / sizeof *p] != value + i) abort();
    if (munmap((void *)p, pages * page)) abort();
  }
}

static int map_image(const char *path, off_t at) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return fail(path);
  static char head[4096];
  if (pread(fd, head, sizeof head, at) < (ssize_t)sizeof(ElfW(Ehdr))) return fail(path);
  ElfW(Ehdr) *e = (ElfW(Ehdr) *)head;
  ElfW(Phdr) *p = (ElfW(Phdr) *)(head + e->e_phoff);
  size_t page = sysconf(_SC_PAGESIZE), size = 0;
  for (int i = 0; i < e->e_phnum; i++)
    if (p[i].p_type == PT_LOAD && p[i].p_vaddr + p[i].p_memsz > size) size = p[i].p_vaddr + p[i].p_memsz;
  char *base = mmap(NULL, size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return fail("mmap");
  for (int i = 0; i < e->e_phnum; i++) {
    if (p[i].p_type != PT_LOAD) continue;
    size_t skip = p[i].p_vaddr & (page - 1);
    int prot = (p[i].p_flags & PF_R ? PROT_READ : 0) | (p[i].p_flags & PF_W ? PROT_WRITE : 0) |
               (p[i].p_flags & PF_X ? PROT_EXEC : 0);
    void *to = base + p[i].p_vaddr - skip;
    if (mmap(to, p[i].p_filesz + skip, prot, MAP_PRIVATE | MAP_FIXED, fd, at + p[i].p_offset - skip) == MAP_FAILED)
      return fail("mmap");
  }
  close(fd);
  return 0;
}

static int many_mappings(size_t n) {
  size_t page = sysconf(_SC_PAGESIZE);
  char *base = mmap(NULL, n * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return fail("mmap");
  for (size_t i = 0; i < n; i += 2)
    if (mprotect(base + i * page, page, PROT_READ | PROT_WRITE)) return fail("mprotect");
  return 0;
}

static int many_descriptors(int n) {
  struct rlimit limit = {n + 100, n + 100};
  if (setrlimit(RLIMIT_NOFILE, &limit)) return fail("setrlimit");
  for (int i = 0; i < n; i++)
    if (dup(0) < 0) return fail("dup");
  return 0;
}

static int again(char *self, int first) {
  if (first) ready();
  for (int i = 0; i < 2; i++) start(wait_forever, i);
  usleep(2000);
  execl("/proc/self/exe", self, "exec", "again", NULL);
  return fail("exec");
}

int main(int argc, char **argv) {
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  if (argc < 2) return 2;
  const char *what = argv[1];
  int n = argc > 2 ? atoi(argv[2]) : 0;
  if (!strcmp(what, "leader")) {
    for (int i = 1; i < n; i++) start(wait_forever, i);
    start(tell_of_leader, 0);
    pthread_exit(NULL);
  } else if (!strcmp(what, "retire")) {
    for (int i = 1; i < n; i++) start(wait_forever, i);
    usleep(50000); // so that they wait
    ready();
    char c;
    if (read(0, &c, 1) == 1) pthread_exit(NULL);
    return 1;
  } else if (!strcmp(what, "churn")) {
    for (int i = 0; i < n; i++) start(churn, 0);
  } else if (!strcmp(what, "forks")) {
    ready();
    if (n > 0) {
      for (int i = 0; i < n; i++) start(forks, 0);
      wait_forever(0);
    }
    for (;;) fork_one(1);
  } else if (!strcmp(what, "maps")) {
    for (int i = 0; i < n; i++) start(maps, i);
  } else if (!strcmp(what, "exec")) {
    return again(argv[0], argc == 2);
  } else if (!strcmp(what, "load")) {
    for (int i = 2; i < argc; i++)
      if (!dlopen(argv[i], RTLD_NOW)) {
        fprintf(stderr, "odd: %s\n", dlerror());
        return 1;
      }
  } else if (!strcmp(what, "map") && argc == 4) {
    if (map_image(argv[2], atol(argv[3]))) return 1;
  } else if (!strcmp(what, "mappings")) {
    if (many_mappings(n)) return 1;
  } else if (!strcmp(what, "fds")) {
    if (many_descriptors(n)) return 1;
  } else if (!strcmp(what, "undumpable")) {
    prctl(PR_SET_DUMPABLE, 0);
  } else if (!strcmp(what, "strict")) {
    ready();
    prctl(PR_SET_SECCOMP, 1); // SECCOMP_MODE_STRICT
    char c;
    while (syscall(SYS_read, 0, &c, 1) == 1) {
    }
    for (;;) {
    }
  } else {
    return 2;
  }
  ready();
  for (;;) pause();
}
