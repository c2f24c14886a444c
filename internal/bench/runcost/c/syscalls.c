// syscalls N: N system calls that do next to nothing, N/100 reads of a page, and N/2000 threads that are born and die.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *nothing(void *p) { return p; }

int main(int argc, char **argv) {
  long n = argc > 1 ? atol(argv[1]) : 1000000;
  int threads = argc > 2 ? atoi(argv[2]) : 0;
  char page[4096];
  int fd = open("/dev/zero", O_RDONLY);
  for (long i = 0; i < n; i++) {
    syscall(SYS_getppid);
    if (i % 100 == 0 && read(fd, page, sizeof page) != sizeof page) return 1;
  }
  for (int i = 0; i < threads; i++) {
    pthread_t t;
    if (pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL)) return 1;
  }
  return 0;
}
