// machorun PROGRAM [ARG...] runs a darwin program, built by Go without cgo for this machine's processor, as a Linux process. It maps
// the program's segments, binds the functions that it imports from libSystem to functions of glibc, with conversions from and to
// Darwin's numbers and structures, and jumps to its entry. The code of the program, including its Go runtime, runs unchanged. Only the
// parts of macOS that our tests use are implemented: a call of any other import ends the process with a message that names the import.
//
// kernel.c implements Mach, process.c libproc and sysctl, socket.c sockets and kqueue, images.c what dyld would have loaded, amd64.c
// and arm64.c the machine.
//
// It is only for tests: it trusts PROGRAM, which go test has just built.
//
// Numbers and layouts of Darwin: runtime/defs_darwin_*.go, syscall/ztypes_darwin_*.go and zerrors_darwin_*.go of Go, Apple's
// <mach-o/loader.h>, and the headers of XNU that the parts name.
#include "machorun.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void fatal(const char *format, ...) {
	va_list a;
	va_start(a, format);
	fprintf(stderr, "machorun: ");
	vfprintf(stderr, format, a);
	fprintf(stderr, "\n");
	va_end(a);
	_exit(126);
}

// Errors. Up to 34 the numbers are the same, except EAGAIN.

__thread int d_errno;

int darwin_errno(int e) {
	switch (e) {
	case EAGAIN: return 35;
	case EDEADLK: return 11;
	case ENAMETOOLONG: return 63;
	case ENOSYS: return 78;
	case ENOTEMPTY: return 66;
	case ELOOP: return 62;
	case EOVERFLOW: return 84;
	case EOPNOTSUPP: return 102;
	case ETIMEDOUT: return 60;
	case EINPROGRESS: return 36;
	case EALREADY: return 37;
	case ENOTSOCK: return 38;
	case EDESTADDRREQ: return 39;
	case EMSGSIZE: return 40;
	case EPROTOTYPE: return 41;
	case ENOPROTOOPT: return 42;
	case EPROTONOSUPPORT: return 43;
	case EAFNOSUPPORT: return 47;
	case EADDRINUSE: return 48;
	case EADDRNOTAVAIL: return 49;
	case ENETUNREACH: return 51;
	case ECONNABORTED: return 53;
	case ECONNRESET: return 54;
	case ENOBUFS: return 55;
	case EISCONN: return 56;
	case ENOTCONN: return 57;
	case ECONNREFUSED: return 61;
	case EHOSTUNREACH: return 65;
	}
	return e <= 34 ? e : 5; // EIO
}

static int *s_error(void) { return &d_errno; }

int fails(int darwin) {
	d_errno = darwin;
	return -1;
}

// Files.

#define DARWIN_AT_FDCWD -2

static int at(int fd) { return fd == DARWIN_AT_FDCWD ? AT_FDCWD : fd; }

static int open_flags(int d) {
	static const struct { int from, to; } flags[] = {
		{0x4, O_NONBLOCK}, {0x8, O_APPEND}, {0x80, O_SYNC}, {0x100, O_NOFOLLOW}, {0x200, O_CREAT}, {0x400, O_TRUNC},
		{0x800, O_EXCL}, {0x20000, O_NOCTTY}, {0x100000, O_DIRECTORY}, {0x1000000, O_CLOEXEC},
	};
	int l = d & O_ACCMODE;
	d &= ~O_ACCMODE;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (d & flags[i].from) {
			l |= flags[i].to;
			d &= ~flags[i].from;
		}
	if (d) fatal("open: unknown flags %#x", d);
	return l;
}

static long s_open(const char *path, int flags, int mode) { return R(open(path, open_flags(flags), mode)); }
static long s_openat(int fd, const char *path, int flags, int mode) { return R(openat(at(fd), path, open_flags(flags), mode)); }

static long s_fcntl(int fd, int command, long arg) {
	long r;
	switch (command) {
	case 0: return R(fcntl(fd, F_DUPFD, arg));
	case 1: return R(fcntl(fd, F_GETFD));
	case 2: return R(fcntl(fd, F_SETFD, arg));
	case 3:
		r = R(fcntl(fd, F_GETFL));
		return r < 0 ? r : (r & O_ACCMODE) | (r & O_NONBLOCK ? 4 : 0) | (r & O_APPEND ? 8 : 0);
	case 4: return R(fcntl(fd, F_SETFL, (arg & 4 ? O_NONBLOCK : 0) | (arg & 8 ? O_APPEND : 0)));
	case 51: return R(fsync(fd)); // F_FULLFSYNC
	case 67: return R(fcntl(fd, F_DUPFD_CLOEXEC, arg));
	}
	return fails(22); // EINVAL
}

struct d_stat {
	int32_t dev;
	uint16_t mode, nlink;
	uint64_t ino;
	uint32_t uid, gid;
	int32_t rdev, pad;
	struct timespec atime, mtime, ctime, birthtime;
	int64_t size, blocks;
	int32_t blksize;
	uint32_t flags, gen;
	int32_t spare;
	int64_t spares[2];
};
_Static_assert(sizeof(struct d_stat) == 144, "struct stat64 of Darwin");

static long stat_out(long r, const struct stat *s, struct d_stat *d) {
	if (r < 0) return r;
	*d = (struct d_stat){
		.dev = s->st_dev, .mode = s->st_mode, .nlink = s->st_nlink, .ino = s->st_ino, .uid = s->st_uid, .gid = s->st_gid,
		.rdev = s->st_rdev, .atime = s->st_atim, .mtime = s->st_mtim, .ctime = s->st_ctim, .birthtime = s->st_ctim,
		.size = s->st_size, .blocks = s->st_blocks, .blksize = s->st_blksize,
	};
	return r;
}

static long s_fstat(int fd, struct d_stat *d) { struct stat s; return stat_out(R(fstat(fd, &s)), &s, d); }
static long s_stat(const char *path, struct d_stat *d) { struct stat s; return stat_out(R(stat(path, &s)), &s, d); }
static long s_lstat(const char *path, struct d_stat *d) { struct stat s; return stat_out(R(lstat(path, &s)), &s, d); }
static long s_fstatat(int fd, const char *path, struct d_stat *d, int flags) {
	struct stat s;
	return stat_out(R(fstatat(at(fd), path, &s, flags & 0x20 ? AT_SYMLINK_NOFOLLOW : 0)), &s, d);
}

// A directory entry with a 64-bit inode: Go imports the functions for these.
struct d_dirent {
	uint64_t ino, seekoff;
	uint16_t reclen, namlen;
	uint8_t type;
	char name[1024];
	char pad[3];
};
_Static_assert(sizeof(struct d_dirent) == 1048, "struct dirent of Darwin");

static DIR *s_fdopendir(int fd) {
	DIR *dir = fdopendir(fd);
	if (!dir) d_errno = darwin_errno(errno);
	return dir;
}

static int s_readdir_r(DIR *dir, struct d_dirent *entry, struct d_dirent **result) {
	errno = 0;
	struct dirent *e = readdir(dir);
	*result = NULL;
	if (!e) return darwin_errno(errno);
	memset(entry, 0, sizeof *entry);
	entry->ino = e->d_ino;
	entry->reclen = sizeof *entry;
	entry->namlen = strlen(e->d_name);
	entry->type = e->d_type;
	strcpy(entry->name, e->d_name);
	*result = entry;
	return 0;
}

static char *s_getcwd(char *buffer, size_t n) {
	char *r = getcwd(buffer, n);
	if (!r) d_errno = darwin_errno(errno);
	return r;
}

static long s_utimensat(int fd, const char *path, const struct timespec *t, int flags) { return R(utimensat(at(fd), path, t, flags & 0x20 ? AT_SYMLINK_NOFOLLOW : 0)); }
static long s_unlinkat(int fd, const char *path, int flags) { return R(unlinkat(at(fd), path, flags & 0x80 ? AT_REMOVEDIR : 0)); }
static long s_faccessat(int fd, const char *path, int mode, int flags) {
	return R(faccessat(at(fd), path, mode, (flags & 0x10 ? AT_EACCESS : 0) | (flags & 0x20 ? AT_SYMLINK_NOFOLLOW : 0)));
}
static long s_readlinkat(int fd, const char *path, char *buffer, size_t n) { return R(readlinkat(at(fd), path, buffer, n)); }

// Programs call ioctl only to determine whether a descriptor is a terminal, and no test has a terminal.
static long s_ioctl(void) { return fails(25); } // ENOTTY

PASS(read, (int fd, void *p, size_t n), (fd, p, n))

static long s_write(int fd, const void *p, size_t n) { return is_small(fd) ? write_small(fd, p, n, true) : R(write(fd, p, n)); }

PASS(pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
PASS(pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
PASS(lseek, (int fd, off_t o, int whence), (fd, o, whence))
PASS(close, (int fd), (fd))
PASS(closedir, (DIR *dir), (dir))
PASS(dup, (int fd), (fd))
PASS(dup2, (int fd, int as), (fd, as))
PASS(pipe, (int *fds), (fds))
PASS(fsync, (int fd), (fd))
PASS(ftruncate, (int fd, off_t n), (fd, n))
PASS(chdir, (const char *path), (path))
PASS(fchdir, (int fd), (fd))
PASS(chmod, (const char *path, mode_t mode), (path, mode))
PASS(fchmod, (int fd, mode_t mode), (fd, mode))
PASS(mkdir, (const char *path, mode_t mode), (path, mode))
PASS(rmdir, (const char *path), (path))
PASS(unlink, (const char *path), (path))
PASS(link, (const char *path, const char *as), (path, as))
PASS(symlink, (const char *to, const char *path), (to, path))
PASS(rename, (const char *path, const char *as), (path, as))
PASS(readlink, (const char *path, char *buffer, size_t n), (path, buffer, n))

// Memory. The flags below 0x20 have the same values on Linux. madvise does nothing, because nothing depends on it.

static uint64_t round_page(uint64_t n) { return (n + PAGE - 1) & -(uint64_t)PAGE; }

static void *s_mmap(void *addr, size_t n, int prot, int flags, int fd, off_t o) {
	int l = (flags & 0x1f) | (flags & 0x1000 ? MAP_ANONYMOUS : 0) | (prot ? 0 : MAP_NORESERVE);
	char *p = mmap(addr, n, prot, l, fd, o);
	if (p == MAP_FAILED || (uint64_t)p % PAGE == 0) return (void *)R((long)p);
	// Linux's pages are smaller than Darwin's, so use an aligned part of a larger mapping.
	munmap(p, n);
	char *all = mmap(NULL, round_page(n) + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED) return (void *)R(-1);
	char *at = (char *)round_page((uint64_t)all), *end = all + round_page(n) + PAGE;
	if (at > all) munmap(all, at - all);
	if (end > at + round_page(n)) munmap(at + round_page(n), end - at - round_page(n));
	return (void *)R((long)mmap(at, n, prot, l | MAP_FIXED, fd, o));
}

PASS(munmap, (void *addr, size_t n), (addr, n))
PASS(mprotect, (void *addr, size_t n, int prot), (addr, n, prot))

static long nothing(void) { return 0; }

// Time and the machine.

static long s_clock_gettime(int clock, struct timespec *t) { return R(clock_gettime(clock == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, t)); }

static uint64_t s_mach_absolute_time(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int s_mach_timebase_info(uint32_t *fraction) {
	fraction[0] = fraction[1] = 1;
	return 0;
}

static void s_arc4random_buf(char *p, size_t n) {
	while (n) {
		ssize_t k = getrandom(p, n, 0);
		if (k > 0) p += k, n -= k;
	}
}

static long s_getrlimit(int resource, struct rlimit *l) { return resource == 8 ? R(getrlimit(RLIMIT_NOFILE, l)) : fails(22); }
static long s_setrlimit(int resource, const struct rlimit *l) { return resource == 8 ? R(setrlimit(RLIMIT_NOFILE, l)) : fails(22); }

// Signals.

static const int linux_signal[32] = {
	[1] = SIGHUP, [2] = SIGINT, [3] = SIGQUIT, [4] = SIGILL, [5] = SIGTRAP, [6] = SIGABRT, [8] = SIGFPE, [9] = SIGKILL,
	[10] = SIGBUS, [11] = SIGSEGV, [12] = SIGSYS, [13] = SIGPIPE, [14] = SIGALRM, [15] = SIGTERM, [16] = SIGURG, [17] = SIGSTOP,
	[18] = SIGTSTP, [19] = SIGCONT, [20] = SIGCHLD, [21] = SIGTTIN, [22] = SIGTTOU, [23] = SIGIO, [24] = SIGXCPU, [25] = SIGXFSZ,
	[26] = SIGVTALRM, [27] = SIGPROF, [28] = SIGWINCH, [30] = SIGUSR1, [31] = SIGUSR2,
};

int darwin_signal(int l) {
	for (int d = 1; d < 32; d++)
		if (linux_signal[d] == l) return d;
	return 0;
}

// TRAP_SIGNAL is never blocked, because the program calls the kernel by it.
static void mask_in(uint32_t d, sigset_t *l) {
	sigemptyset(l);
	for (int i = 1; i < 32; i++)
		if (d >> (i - 1) & 1 && linux_signal[i] && linux_signal[i] != TRAP_SIGNAL) sigaddset(l, linux_signal[i]);
}

static uint32_t mask_out(const sigset_t *l) {
	uint32_t d = 0;
	for (int i = 1; i < 32; i++)
		if (linux_signal[i] && sigismember(l, linux_signal[i])) d |= 1u << (i - 1);
	return d;
}

static int s_pthread_sigmask(int how, const uint32_t *set, uint32_t *old) { // SIG_BLOCK is 1
	sigset_t in, out;
	if (set) mask_in(*set, &in);
	int r = pthread_sigmask(how - 1, set ? &in : NULL, &out);
	if (old) *old = mask_out(&out);
	return darwin_errno(r);
}

struct d_sigaction {
	void (*handler)(int, void *, void *);
	uint32_t mask;
	int32_t flags;
};

struct d_siginfo {
	int32_t signo, err, code, pid;
	uint32_t uid;
	int32_t status;
	uint64_t addr, value, band, pad[7];
};

static struct d_sigaction actions[32];

// A fault is an exception of Mach before it is a signal.
struct fault {
	uint32_t type;
	uint64_t code, subcode;
};

static struct fault fault_of(int sig, const siginfo_t *info) {
	uint64_t at = (uint64_t)info->si_addr;
	if (info->si_code <= 0) return (struct fault){0};
	switch (sig) {
	case SIGSEGV:
		if (info->si_code == SI_KERNEL) return (struct fault){EXC_BAD_ACCESS, 13, 0}; // EXC_I386_GPFLT
		return (struct fault){EXC_BAD_ACCESS, info->si_code, at};                   // KERN_INVALID_ADDRESS, KERN_PROTECTION_FAILURE
	case SIGBUS: return (struct fault){EXC_BAD_ACCESS, 10, at};                      // KERN_MEMORY_ERROR
	case SIGILL: return (struct fault){EXC_BAD_INSTRUCTION, 1, 0};                   // EXC_I386_INVOP, EXC_ARM_UNDEFINED
	case SIGFPE: return (struct fault){EXC_ARITHMETIC, 1, 0};                        // EXC_I386_DIV
	case SIGTRAP: return (struct fault){EXC_BREAKPOINT, CPU_TYPE == 0x01000007 ? 2 : 1, 0}; // EXC_I386_BPT, EXC_ARM_BREAKPOINT
	}
	return (struct fault){0};
}

// crashes reports whether a signal without a handler is a crash.
static bool crashes(int d) {
	switch (linux_signal[d]) {
	case SIGQUIT: case SIGILL: case SIGTRAP: case SIGABRT: case SIGFPE: case SIGBUS: case SIGSEGV: return true;
	}
	return false;
}

// die ends the process by a signal, as soon as the signal handler has returned. Before that it raises EXC_CRASH.
static void die(int sig, struct fault f, const ucontext_t *u) {
	uint64_t code = (uint64_t)darwin_signal(sig) << 24 | f.type << 20 | (f.code & 0xfffff);
	raise_exception(EXC_CRASH, code, f.subcode, in_program(context_pc(u)) ? u : NULL);
	struct sigaction l = {.sa_handler = SIG_DFL};
	sigaction(sig, &l, NULL);
	syscall(SYS_tgkill, getpid(), gettid(), sig);
}

// deliver passes a signal to the program's handler.
static void deliver(int sig, siginfo_t *info, void *context) {
	static const int fpe[] = {0, 7, 8, 1, 2, 3, 4, 5, 6}; // FPE_INTDIV is 1 on Linux, 7 on Darwin
	int saved = errno, d_saved = d_errno;
	struct thread *t = own_thread();
	uint64_t entry[COUNT(t->entry)]; // the handler calls functions of libSystem itself
	memcpy(entry, t->entry, sizeof entry);
	struct fault f = fault_of(sig, info);
	struct d_siginfo i = {.signo = darwin_signal(sig), .code = info->si_code};
	if (info->si_code <= 0) { // SI_USER, which is 0 for the runtime
		i.code = 0, i.pid = info->si_pid, i.uid = info->si_uid;
	} else {
		i.addr = (uint64_t)info->si_addr;
		if (sig == SIGFPE && info->si_code <= 8) i.code = fpe[info->si_code];
	}
	void *handler = actions[i.signo].handler;
	if (!f.type || !raise_exception(f.type, f.code, f.subcode, context)) {
		if (!handler) die(sig, f, context); // SIG_DFL
		else if ((uintptr_t)handler > 1) run_handler(handler, i.signo, &i, mask_out(&((ucontext_t *)context)->uc_sigmask), context);
	}
	memcpy(t->entry, entry, sizeof entry);
	errno = saved, d_errno = d_saved;
}

static void set_action(int d) {
	const struct d_sigaction *a = &actions[d];
	struct sigaction l = {.sa_sigaction = deliver,
		.sa_flags = SA_SIGINFO | (a->flags & 1 ? SA_ONSTACK : 0) | (a->flags & 2 ? SA_RESTART : 0)};
	if ((uintptr_t)a->handler <= 1 && !(crashes(d) && !a->handler)) l.sa_handler = (void *)a->handler, l.sa_flags = 0; // SIG_DFL, SIG_IGN
	mask_in(a->mask, &l.sa_mask);
	if (linux_signal[d] && linux_signal[d] != TRAP_SIGNAL) sigaction(linux_signal[d], &l, NULL);
}

static long s_sigaction(int sig, const struct d_sigaction *act, struct d_sigaction *old) {
	if (sig < 1 || sig > 31) return fails(D_EINVAL);
	if (old) *old = actions[sig];
	if (!act) return 0;
	actions[sig] = *act;
	set_action(sig);
	return 0;
}

struct d_stack {
	void *sp;
	size_t size;
	int32_t flags, pad;
};

static long s_sigaltstack(const struct d_stack *set, struct d_stack *old) { // SS_ONSTACK is 1, SS_DISABLE 4
	stack_t in, out;
	if (set) in = (stack_t){.ss_sp = set->sp, .ss_size = set->size, .ss_flags = set->flags & 4 ? SS_DISABLE : 0};
	long r = R(sigaltstack(set ? &in : NULL, &out));
	if (r == 0 && old)
		*old = (struct d_stack){out.ss_sp, out.ss_size, (out.ss_flags & SS_ONSTACK ? 1 : 0) | (out.ss_flags & SS_DISABLE ? 4 : 0), 0};
	return r;
}

static int to_linux(int sig) { return sig > 0 && sig < 32 && linux_signal[sig] ? linux_signal[sig] : sig; }
static int s_pthread_kill(pthread_t t, int sig) { return darwin_errno(pthread_kill(t, to_linux(sig))); }
static long s_raise(int sig) { return pthread_kill(pthread_self(), to_linux(sig)); }
static long s_kill(pid_t pid, int sig) { return R(kill(pid, to_linux(sig))); }

// trap: the only BSD call that Go makes directly is waitid, and Go accepts ENOSYS.
long trap(int class, long number, const uint64_t args[6], bool *error) {
	if (class == 1) return mach_trap(number, args);
	*error = true;
	return D_ENOSYS;
}

// Processes.

// If this process runs in an emulator, so must the program that it executes.
static const char *emulator;

// A Mach-O program is executed by machorun too. Its argv[0] becomes its path.
static long s_execve(const char *path, char **argv, char **envp) {
	uint32_t magic = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), n = 0, k = 0;
	if (fd >= 0) {
		if (read(fd, &magic, sizeof magic) < 0) magic = 0;
		close(fd);
	}
	if (magic != 0xfeedfacf) return R(execve(path, argv, envp));
	while (argv[n]) n++;
	char *as[n + 4], self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0) return R(-1);
	self[length] = 0;
	if (emulator) as[k++] = (char *)emulator;
	as[k++] = self, as[k++] = (char *)path;
	for (int i = 1; i <= n; i++) as[k++] = argv[i];
	n = 0;
	while (envp[n]) n++;
	char *with[n + 2];
	memcpy(with, envp, n * sizeof *envp);
	with[n] = ports_text(), with[n + 1] = NULL;
	return R(execve(as[0], as, with));
}

// The structures of resource usage differ only in the width of the microseconds.
static long s_wait4(pid_t pid, int *status, int options, struct rusage *usage) {
	long r = R(wait4(pid, status, options, usage)); // WNOHANG and WUNTRACED have the same values on Linux
	if (r > 0 && status && WIFSIGNALED(*status)) *status = (*status & ~0x7f) | darwin_signal(WTERMSIG(*status));
	if (r > 0 && status && WIFSTOPPED(*status)) *status = 0x7f | darwin_signal(WSTOPSIG(*status)) << 8;
	return r;
}

static void s_exit(int status) { _exit(status); }
static long s_fork(void) {
	long r = R(fork());
	if (r == 0) after_fork();
	return r;
}

PASS(getrusage, (int who, struct rusage *usage), (who, usage))
PASS(setsid, (void), ())
PASS(setpgid, (pid_t pid, pid_t group), (pid, group))

// Threads.

_Static_assert(sizeof(pthread_mutex_t) <= 64 && sizeof(pthread_cond_t) <= 48, "room in Darwin's types");

#define STACK_SIZE (512 << 10) // as on macOS, of threads other than the first

struct start {
	void *(*f)(void *);
	void *arg;
};

static void *run_thread(void *p) {
	struct start s = *(struct start *)p;
	free(p);
	use_thread(new_thread());
	void *r = s.f(s.arg);
	end_thread();
	return r;
}

#ifdef __aarch64__
extern __thread void *volatile thread_slots[16];
static atomic_int thread_keys;

static int s_pthread_key_create(uint64_t *key, void *destructor) {
	(void)destructor; // Go's threads do not end
	*key = atomic_fetch_add(&thread_keys, 1);
	return *key < COUNT(thread_slots) ? 0 : 35; // EAGAIN
}

static int s_pthread_setspecific(uint64_t key, void *value) {
	thread_slots[key] = value;
	return 0;
}
#endif

static int s_pthread_create(pthread_t *thread, const void *attr, void *(*f)(void *), void *arg) {
	(void)attr; // detached, as all threads of Go
	pthread_attr_t a;
	pthread_t t;
	struct start *s = malloc(sizeof *s);
	if (!s) return 12; // ENOMEM
	*s = (struct start){f, arg};
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, STACK_SIZE + (256 << 10)); // includes what glibc requires itself
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	int r = pthread_create(&t, &a, run_thread, s);
	if (r == 0 && thread) *thread = t;
	return darwin_errno(r);
}

static int s_pthread_attr_getstacksize(const void *attr, size_t *size) {
	(void)attr;
	*size = STACK_SIZE;
	return 0;
}

static int s_pthread_mutex_init(pthread_mutex_t *m) { return pthread_mutex_init(m, NULL); }
static int s_pthread_cond_init(pthread_cond_t *c) { return pthread_cond_init(c, NULL); }

static int s_pthread_cond_timedwait_relative_np(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *wait) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += wait->tv_sec;
	t.tv_nsec += wait->tv_nsec;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	return darwin_errno(pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, &t));
}

// Imports.

const struct import loader_imports[] = {
	S(arc4random_buf), S(chdir), S(chmod), S(clock_gettime), S(close), S(closedir), S(dup), S(dup2), S(execve), S(exit),
	S(faccessat), S(fchdir), S(fchmod), S(fcntl), S(fork), S(fsync), S(ftruncate), S(getcwd), S(getrlimit), S(getrusage),
	S(ioctl), S(kill), S(link), S(lseek), S(mach_absolute_time), S(mach_timebase_info), S(mkdir),
	S(mmap), S(mprotect), S(munmap), S(open), S(openat), S(pipe), S(pread), S(pthread_attr_getstacksize),
	S(pthread_cond_init), S(pthread_cond_timedwait_relative_np), S(pthread_create), S(pthread_kill),
	S(pthread_mutex_init), S(pthread_sigmask), S(pwrite), S(raise), S(read), S(readlink), S(readlinkat), S(rename),
	S(rmdir), S(setpgid), S(setrlimit), S(setsid), S(sigaction), S(sigaltstack), S(symlink),
	S(unlink), S(unlinkat), S(utimensat), S(wait4), S(write),
	G(getegid), G(geteuid), G(getgid), G(getpid), G(getppid), G(getuid), G(pthread_cond_signal), G(pthread_cond_wait),
	G(pthread_mutex_lock), G(pthread_mutex_unlock), G(pthread_self), G(umask), G(usleep),
	{"___error", s_error, false}, {"__exit", s_exit, false}, {"_issetugid", nothing, false}, {"_madvise", nothing, false}, {"_mlock", nothing, false},
	{"_notify_is_valid_token", nothing, false}, {"_pthread_attr_init", nothing, false}, {"_pthread_attr_setdetachstate", nothing, false},
	{"_xpc_date_create_from_current", nothing, false},
	// amd64 has names with 64, because it also had structures with 32-bit inodes.
	{"_fstat64", s_fstat, false}, {"_fstatat64", s_fstatat, false}, {"_lstat64", s_lstat, false}, {"_stat64", s_stat, false},
	{"_fdopendir$INODE64", s_fdopendir, false}, {"_readdir_r$INODE64", s_readdir_r, false},
	S(fstat), S(fstatat), S(lstat), S(stat), S(fdopendir), S(readdir_r),
#ifdef __aarch64__
	S(pthread_key_create), S(pthread_setspecific),
#endif
	{0},
};

static const struct import *const imports[] = {loader_imports, kernel_imports, process_imports, socket_imports};

// An import that is not implemented ends the process only when it is called, because most are never called. Its stub identifies it.
static struct {
	const void *stub;
	const char *name;
} missing_imports[256];

static void missing(void) {
	const void *called = (void *)own_thread()->entry[0];
	for (size_t i = 0; i < COUNT(missing_imports); i++)
		if (missing_imports[i].stub == called) fatal("%s is not implemented", missing_imports[i].name);
	fatal("a function is not implemented");
}

// resolve returns the address for an import. It is the same for all modules that import a function.
static void *resolve(const char *name) {
	static struct {
		const struct import *import;
		void *stub;
	} known[512];
	for (size_t t = 0; t < COUNT(imports); t++)
		for (const struct import *i = imports[t]; i->name; i++) {
			if (strcmp(i->name, name)) continue;
			if (i->data) return i->address;
			size_t k = 0;
			while (known[k].import && known[k].import != i) k++;
			if (!known[k].import) known[k].import = i, known[k].stub = stub(i->address);
			return known[k].stub;
		}
	size_t k = 0;
	while (missing_imports[k].stub) k++;
	if (k == COUNT(missing_imports) - 1) fatal("too many imports");
	missing_imports[k].name = name;
	missing_imports[k].stub = stub(missing);
	return (void *)missing_imports[k].stub;
}

// Loading.

enum { LC_UNIXTHREAD = 5, LC_SEGMENT_64 = 0x19, LC_DYLD_INFO = 0x22, LC_DYLD_INFO_ONLY = 0x80000022, LC_MAIN = 0x80000028 };

struct header {
	uint32_t magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags, reserved;
};

struct command {
	uint32_t cmd, cmdsize;
};

struct segment {
	uint32_t cmd, cmdsize;
	char name[16];
	uint64_t vmaddr, vmsize, fileoff, filesize;
	int32_t maxprot, initprot;
	uint32_t nsects, flags;
};

struct section {
	char name[16], segment[16];
	uint64_t addr, size;
	uint32_t words[8];
};

struct entry_point {
	uint32_t cmd, cmdsize;
	uint64_t offset;
};

struct dyld_info {
	uint32_t cmd, cmdsize, rebase_off, rebase_size, bind_off, bind_size;
};

struct thread_command {
	uint32_t cmd, cmdsize, flavor, count;
	uint64_t regs[21];
};

static const struct segment *segments[16];
static int segment_count;

static size_t mapped_size(const struct segment *s) { return round_page(s->vmsize); }

static void map_segment(const uint8_t *file, const struct segment *s) {
	if (segment_count == sizeof segments / sizeof *segments) fatal("too many segments");
	segments[segment_count++] = s;
	if (!s->initprot || !s->vmsize) return; // __PAGEZERO
	void *p = mmap((void *)s->vmaddr, mapped_size(s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != (void *)s->vmaddr) fatal("mapping %.16s at %#lx: %s", s->name, s->vmaddr, strerror(errno));
	memcpy(p, file + s->fileoff, s->filesize);
	if (!strcmp(s->name, "__TEXT")) {
		const struct section *c = (const void *)(s + 1);
		for (uint32_t i = 0; i < s->nsects; i++, c++)
			if (!strncmp(c->name, "__text", 16)) patch_text((uint32_t *)c->addr, (uint32_t *)(c->addr + c->size));
	}
	show_segment(s->vmaddr, s->vmaddr + mapped_size(s), s->initprot);
}

static const struct segment *segment_named(const char *name) {
	for (int i = 0; i < segment_count; i++)
		if (!strncmp(segments[i]->name, name, 16)) return segments[i];
	fatal("the program has no %s", name);
}

bool in_program(uint64_t pc) {
	const struct segment *s = segment_named("__TEXT");
	return (pc >= s->vmaddr && pc < s->vmaddr + s->vmsize) || in_libsystem(pc);
}

static uint64_t uleb128(const uint8_t **p) {
	uint64_t v = 0;
	for (int shift = 0;; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) return v;
	}
}

// bind executes the BIND_OPCODE_* program that stores the addresses of the imports.
static void bind(const uint8_t *p, const uint8_t *end) {
	const char *name = NULL;
	uint64_t place = 0;
	while (p < end) {
		uint8_t op = *p & 0xf0, value = *p & 0x0f;
		p++;
		switch (op) {
		case 0x00: return;           // DONE
		case 0x10:                   // SET_DYLIB_ORDINAL_IMM: there is one namespace here
		case 0x30:                   // SET_DYLIB_SPECIAL_IMM
		case 0x50: break;            // SET_TYPE_IMM: always a pointer
		case 0x20: uleb128(&p); break; // SET_DYLIB_ORDINAL_ULEB
		case 0x40:                   // SET_SYMBOL_TRAILING_FLAGS_IMM
			name = (const char *)p;
			p += strlen(name) + 1;
			break;
		case 0x70: place = segments[value]->vmaddr + uleb128(&p); break; // SET_SEGMENT_AND_OFFSET_ULEB
		case 0x80: place += uleb128(&p); break;                          // ADD_ADDR_ULEB
		case 0x90:                                                       // DO_BIND
			*(void **)place = resolve(name);
			place += 8;
			break;
		default: fatal("unknown bind opcode %#x", op);
		}
	}
}

// start builds the stack as XNU does (argc, argv, the environment, and strings of the loader, among which Go searches for its
// path) and jumps to entry.
static void start(uint64_t entry, int argc, char **argv, char **envp) {
	const size_t size = 8 << 20;
	int n = 0, k = 0;
	while (envp[n]) n++;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *path;
	if (stack == MAP_FAILED) fatal("mapping the stack: %s", strerror(errno));
	if (asprintf(&path, "executable_path=%s", argv[0]) < 0) fatal("no memory");
	uint64_t *sp = (uint64_t *)((uint64_t)(stack + size - 8 * (argc + n + 8)) & ~15ul);
	sp[k++] = argc;
	for (int i = 0; i < argc; i++) sp[k++] = (uint64_t)argv[i];
	sp[k++] = 0;
	for (int i = 0; i < n; i++) sp[k++] = (uint64_t)envp[i];
	sp[k++] = 0;
	sp[k++] = (uint64_t)path;
	sp[k++] = 0;
	struct thread *t = own_thread();
	t->stack_low = (uint64_t)stack, t->stack_high = (uint64_t)stack + size;
	enter(entry, sp, argc);
}

int main(int argc, char **argv, char **envp) {
	if (argc < 2) fatal("usage: machorun PROGRAM [ARG...]");
	emulator = getenv("MACHORUN_EMULATOR");
	int fd = open(argv[1], O_RDONLY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) fatal("%s: %s", argv[1], strerror(errno));
	const uint8_t *file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED) fatal("%s: %s", argv[1], strerror(errno));
	close(fd);
	const struct header *h = (const void *)file;
	if (h->magic != 0xfeedfacf || h->cputype != CPU_TYPE) fatal("%s is no Mach-O program for this processor", argv[1]);
	share(argv[1]);
	ports_from_text(envp);

	const struct dyld_info *info = NULL;
	uint64_t entry = 0, offset = 0;
	const uint8_t *p = file + sizeof *h;
	for (uint32_t i = 0; i < h->ncmds; i++) {
		const struct command *c = (const void *)p;
		switch (c->cmd) {
		case LC_SEGMENT_64: map_segment(file, (const void *)c); break;
		case LC_DYLD_INFO: case LC_DYLD_INFO_ONLY: info = (const void *)c; break;
		case LC_UNIXTHREAD: entry = ((const struct thread_command *)c)->regs[16]; break; // rip
		case LC_MAIN: offset = ((const struct entry_point *)c)->offset; break;
		}
		p += c->cmdsize;
	}
	const struct segment *text = segment_named("__TEXT");
	if (offset) entry = text->vmaddr + offset;
	if (!info || !entry) fatal("%s: it was not linked by Go without cgo", argv[1]);
	use_thread(new_thread());
	make_images((void *)text->vmaddr);
	bind(file + info->bind_off, file + info->bind_off + info->bind_size);
	finish_images();
	for (int i = 0; i < segment_count; i++)
		if (segments[i]->initprot) mprotect((void *)segments[i]->vmaddr, mapped_size(segments[i]), segments[i]->initprot);
	__builtin___clear_cache((char *)text->vmaddr, (char *)text->vmaddr + text->vmsize);
	for (int d = 1; d < 32; d++)
		if (crashes(d)) set_action(d);
#ifdef __aarch64__
	extern void (*breakpoint)(int, siginfo_t *, void *);
	breakpoint = deliver;
#endif
	catch_traps();
	start(entry, argc - 1, argv + 1, envp);
}
