// A library for the LD_PRELOAD of a wineserver that a user-mode emulator runs. Wine's server reads and writes the memory of its
// processes by ptrace, which such an emulator lacks. This library uses /proc/PID/mem instead: an emulated process has its memory at
// the same addresses as the process that emulates it. No thread is stopped. Registers need no ptrace: each thread sends its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t attached; // the server is a single thread, and attaches to one thread at a time

// word reads or writes one word of the memory of a process.
static int word(pid_t pid, void *at, long *value, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = flags == O_RDONLY ? pread(fd, value, sizeof *value, (off_t)at) : pwrite(fd, value, sizeof *value, (off_t)at);
    close(fd);
    errno = n == sizeof *value ? 0 : EIO;
    return errno ? -1 : 0;
}

long ptrace(enum __ptrace_request request, ...)
{
    va_list list;
    va_start(list, request);
    pid_t pid = va_arg(list, pid_t);
    void *at = va_arg(list, void *);
    long data = va_arg(list, long);
    va_end(list);
    switch (request) {
    case PTRACE_ATTACH:
        if (kill(pid, 0) != 0)
            return -1;
        attached = pid;
        return 0;
    case PTRACE_DETACH:
        attached = 0;
        return 0;
    case PTRACE_PEEKDATA:
        return word(pid, at, &data, O_RDONLY) == 0 ? data : -1;
    case PTRACE_POKEDATA:
        return word(pid, at, &data, O_RDWR);
    default:
        errno = EPERM;
        return -1;
    }
}

// waitpid reports an attached thread as stopped, without waiting.
pid_t waitpid(pid_t pid, int *status, int options)
{
    if (pid <= 0 || pid != attached)
        return wait4(pid, status, options, NULL);
    *status = SIGSTOP << 8 | 0x7f;
    return pid;
}
