// floor: the least that a C program must do to take a snapshot of a process: stop every thread, read general and floating
// point registers, /proc/PID/maps and the stacks, let the threads go on, and write it all. What a dumper takes beyond this is
// its own doing.
//
//   floor PID [--names] [--mods] [--cap BYTES] [--repeat K] [--gap-ms MS]
//
//   --names     read the name of each thread, after the resume
//   --mods      read the first page of each mapping of a file at offset 0, after the resume
//   --cap       at most so many bytes of each stack (default: to the end of its mapping)
//   --repeat    so many snapshots, --gap-ms milliseconds apart
//
// Build: gcc -O2 floor.c -o floor. amd64 only. No error is soft here: the first one ends it.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 20000, MAX_MAPS = 200000, IOVECS = 1024, PAGE = 4096 };
static const size_t STACKS_SIZE = 1ull << 30;

static int tids[MAX_THREADS];
static int threads;
static struct user_regs_struct registers[MAX_THREADS];
static struct user_fpregs_struct fp_registers[MAX_THREADS];
static struct {
  uint64_t start, end;
} maps[MAX_MAPS];
static int map_count;
static char maps_text[64 << 20];
static size_t maps_size;
static char headers[IOVECS * PAGE];
static char *stacks;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static long peak_kb(void) {
  long kb = 0;
  char line[256];
  FILE *f = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kb);
  fclose(f);
  return kb;
}

static void list_threads(int pid) {
  // struct linux_dirent64 of getdents64(2)
  struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  char path[64], block[32768];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  int fd = open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) fail(path);
  threads = 0;
  long n;
  while ((n = syscall(SYS_getdents64, fd, block, sizeof block)) > 0)
    for (long at = 0; at < n;) {
      struct entry *e = (void *)(block + at);
      if (e->name[0] != '.' && threads < MAX_THREADS) tids[threads++] = atoi(e->name);
      at += e->length;
    }
  close(fd);
}

static void stop_threads(void) {
  for (int i = 0; i < threads; i++) {
    if (ptrace(PTRACE_SEIZE, tids[i], 0, 0)) fail("PTRACE_SEIZE");
    if (ptrace(PTRACE_INTERRUPT, tids[i], 0, 0)) fail("PTRACE_INTERRUPT");
  }
  for (int i = 0; i < threads; i++)
    if (waitpid(tids[i], NULL, __WALL) < 0) fail("waitpid");
}

static void read_registers(void) {
  for (int i = 0; i < threads; i++) {
    struct iovec general = {&registers[i], sizeof registers[i]};
    if (ptrace(PTRACE_GETREGSET, tids[i], NT_PRSTATUS, &general)) fail("NT_PRSTATUS");
    struct iovec fp = {&fp_registers[i], sizeof fp_registers[i]};
    if (ptrace(PTRACE_GETREGSET, tids[i], NT_PRFPREG, &fp)) fail("NT_PRFPREG");
  }
}

static void read_maps(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0) fail(path);
  maps_size = 0;
  long n;
  while ((n = read(fd, maps_text + maps_size, sizeof maps_text - maps_size)) > 0) maps_size += n;
  close(fd);
  map_count = 0;
  char *end = maps_text + maps_size;
  for (char *line = maps_text; line < end && map_count < MAX_MAPS; map_count++) {
    char *rest;
    maps[map_count].start = strtoull(line, &rest, 16);
    maps[map_count].end = strtoull(rest + 1, &rest, 16);
    line = (char *)memchr(rest, '\n', end - rest) + 1;
  }
}

// map_end finds the end of the mapping that holds address, or address itself.
static uint64_t map_end(uint64_t address) {
  int low = 0, high = map_count;
  while (low < high) {
    int middle = (low + high) / 2;
    if (maps[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low < map_count && maps[low].start <= address ? maps[low].end : address;
}

static struct iovec ranges[IOVECS];
static int range_count;

static void read_ranges(int pid, char *to, size_t size) {
  struct iovec local = {to, size};
  ssize_t got = process_vm_readv(pid, &local, 1, ranges, range_count, 0);
  if (got != (ssize_t)size) fprintf(stderr, "floor: read %zd of %zu bytes\n", got, size);
  range_count = 0;
}

// read_stacks reads from the page of the stack pointer on, in calls of up to 1,024 ranges.
static size_t read_stacks(int pid, uint64_t cap) {
  size_t total = 0, start = 0;
  for (int i = 0; i < threads; i++) {
    uint64_t sp = registers[i].rsp & ~(uint64_t)(PAGE - 1), size = map_end(sp) - sp;
    if (size > cap) size = cap;
    if (total + size > STACKS_SIZE) fail("the stacks take more than 1 GiB");
    ranges[range_count++] = (struct iovec){(void *)sp, size};
    total += size;
    if (range_count == IOVECS || i == threads - 1) {
      read_ranges(pid, stacks + start, total - start);
      start = total;
    }
  }
  return total;
}

static void resume_threads(void) {
  for (int i = 0; i < threads; i++) ptrace(PTRACE_DETACH, tids[i], 0, 0);
}

static void read_names(int pid) {
  for (int i = 0; i < threads; i++) {
    char path[64], name[32];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", pid, tids[i]);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, name, sizeof name) < 0) fail(path);
    close(fd);
  }
}

static void read_modules(int pid) {
  char *end = maps_text + maps_size;
  for (char *line = maps_text; line < end;) {
    char *newline = memchr(line, '\n', end - line);
    char *permissions = (char *)memchr(line, ' ', newline - line) + 1;
    if (!memcmp(permissions + 5, "00000000 ", 9) && memchr(line, '/', newline - line))
      ranges[range_count++] = (struct iovec){(void *)strtoull(line, NULL, 16), PAGE};
    if (range_count == IOVECS) read_ranges(pid, headers, (size_t)range_count * PAGE);
    line = newline + 1;
  }
  if (range_count) read_ranges(pid, headers, (size_t)range_count * PAGE);
}

static size_t write_all(size_t stacks_size) {
  int fd = memfd_create("snapshot", 0);
  struct iovec parts[] = {
      {registers, threads * sizeof *registers},
      {fp_registers, threads * sizeof *fp_registers},
      {maps_text, maps_size},
      {stacks, stacks_size},
  };
  ssize_t written = writev(fd, parts, 4);
  if (written < 0) fail("writev");
  close(fd);
  return written;
}

int main(int argc, char **argv) {
  int pid = argc > 1 ? atoi(argv[1]) : 0, repeat = 1, gap_ms = 0, names = 0, mods = 0;
  uint64_t cap = UINT64_MAX;
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "--names")) names = 1;
    else if (!strcmp(argv[i], "--mods")) mods = 1;
    else if (!strcmp(argv[i], "--cap") && i + 1 < argc) cap = strtoull(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--repeat") && i + 1 < argc) repeat = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--gap-ms") && i + 1 < argc) gap_ms = atoi(argv[++i]);
    else pid = 0;
  }
  if (pid <= 0 || repeat < 1) {
    fprintf(stderr, "usage: floor PID [--names] [--mods] [--cap BYTES] [--repeat K] [--gap-ms MS]\n");
    return 2;
  }
  stacks = mmap(NULL, STACKS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) fail("mmap");
  uint64_t *times = calloc(repeat, sizeof *times), *pauses = calloc(repeat, sizeof *pauses);
  for (int k = 0; k < repeat; k++) {
    uint64_t start = now();
    list_threads(pid);
    uint64_t listed = now();
    stop_threads();
    uint64_t stopped = now();
    read_registers();
    read_maps(pid);
    size_t stacks_size = read_stacks(pid, cap);
    uint64_t captured = now();
    resume_threads();
    uint64_t resumed = now();
    if (names) read_names(pid);
    if (mods) read_modules(pid);
    size_t size = write_all(stacks_size);
    times[k] = now() - start;
    pauses[k] = resumed - listed;
    printf("dump %d ns=%lu pause_ns=%lu stop_ns=%lu capture_ns=%lu resume_ns=%lu threads=%d allocs=0 size=%zu\n", k, times[k],
           pauses[k], stopped - listed, captured - stopped, resumed - captured, threads, size);
    fflush(stdout);
    if (gap_ms) usleep(gap_ms * 1000);
  }
  qsort(times, repeat, sizeof *times, compare);
  qsort(pauses, repeat, sizeof *pauses, compare);
  printf("median_ns=%lu median_pause_ns=%lu hwm_kb=%ld\n", times[repeat / 2], pauses[repeat / 2], peak_kb());
}
