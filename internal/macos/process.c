// libproc and sysctl: information about processes and the machine.
#include "machorun.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int path_of_fd(pid_t pid, int fd, char *path, size_t room) {
	char link[64];
	snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	ssize_t n = readlink(link, path, room - 1);
	if (n < 0) return -1;
	path[n] = 0;
	return 0;
}

// read_file reads a file of procfs. It returns the number of bytes, or -1.
static ssize_t read_file(pid_t pid, const char *name, char *to, size_t room) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -1;
	size_t n = 0;
	for (ssize_t k; n < room && (k = read(fd, to + n, room - n)) > 0;) n += k;
	close(fd);
	return n;
}

static int unsigned_cmp(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

// fd_type returns the PROX_FDTYPE_* for the target of a descriptor's link in procfs.
static uint32_t fd_type(const char *path) {
	if (!strncmp(path, "socket:", 7)) return 2;
	if (!strncmp(path, "pipe:", 5)) return 6;
	if (!strncmp(path, "anon_inode:", 11)) return 5; // PROX_FDTYPE_KQUEUE
	return 1;
}

static int list_fds(pid_t pid, int32_t *to, int size) {
	char path[64], link[256];
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	if (!d) return fails(D_ESRCH), 0;
	int fds[4096], n = 0, own = pid == getpid() ? dirfd(d) : -1;
	for (struct dirent *e; (e = readdir(d)) && n < (int)COUNT(fds);) {
		int fd = atoi(e->d_name);
		if (isdigit(e->d_name[0]) && fd < SHARED_FD && fd != own) fds[n++] = fd;
	}
	closedir(d);
	qsort(fds, n, sizeof *fds, unsigned_cmp);
	int k = 0;
	for (int i = 0; i < n && 8 * (k + 1) <= size; i++)
		if (!path_of_fd(pid, fds[i], link, sizeof link)) to[2 * k] = fds[i], to[2 * k++ + 1] = fd_type(link);
	return 8 * k;
}

// boot_time returns when the machine started, in seconds since 1970: always the same value, so that a process always has the same start.
static uint64_t boot_time(void) {
	uint64_t seconds = 0;
	FILE *f = fopen("/proc/stat", "re");
	char line[4096];
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "btime %lu", &seconds) == 1) break;
	if (f) fclose(f);
	return seconds;
}

// process_times returns times of a process: its start in seconds since 1970, and the times of its threads in nanoseconds.
static bool process_times(pid_t pid, double *start, int *parent, double *user, double *system) {
	char text[1024];
	ssize_t n = read_file(pid, "stat", text, sizeof text - 1);
	if (n <= 0) return false;
	text[n] = 0;
	unsigned long u, s, began;
	char *p = strrchr(text, ')');
	if (!p || sscanf(p + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %lu", parent, &u, &s, &began) != 4) return false;
	double hz = sysconf(_SC_CLK_TCK);
	*start = boot_time() + began / hz;
	*user = u / hz * 1e9, *system = s / hz * 1e9;
	return true;
}

// program_path returns the path of the Mach-O file that pid runs: machorun's first argument.
static int program_path(pid_t pid, char *path, size_t room) {
	if (pid == getpid()) return snprintf(path, room, "%s", shared->path);
	char args[4096 + 64];
	ssize_t n = read_file(pid, "cmdline", args, sizeof args - 1);
	if (n <= 0) return 0;
	args[n] = 0;
	char real[4096], at[4096 + 64];
	const char *p = args + strlen(args) + 1;
	if (p >= args + n) return 0;
#ifdef __aarch64__
	if (strstr(args, "qemu")) p += strlen(p) + 1; // the emulator, then machorun
	if (p >= args + n) return 0;
#endif
	if (*p == '/') snprintf(at, sizeof at, "%s", p);
	else snprintf(at, sizeof at, "/proc/%d/cwd/%s", pid, p);
	return realpath(at, real) ? snprintf(path, room, "%s", real) : 0;
}

static int s_proc_pidpath(int pid, char *path, uint32_t room) {
	int n = program_path(pid, path, room);
	if (n <= 0) d_errno = D_ESRCH;
	return n;
}

struct bsd_info {
	uint32_t flags, status, xstatus, pid, ppid, uid, gid, ruid, rgid, svuid, svgid, spare;
	char comm[16], name[32];
	uint32_t files, group, jobs, tty, tty_group;
	int32_t nice;
	uint64_t start, start_us;
};
_Static_assert(sizeof(struct bsd_info) == 136, "proc_bsdinfo");

// zombie_status returns the exit status of a zombie, or -1 for another process.
static int zombie_status(pid_t pid) {
	char text[1024], state;
	ssize_t n = read_file(pid, "stat", text, sizeof text - 1);
	if (n <= 0) return -1;
	text[n] = 0;
	char *p = strrchr(text, ')');
	if (!p || sscanf(p + 2, "%c", &state) != 1 || state != 'Z') return -1;
	int status = 0, field = 3; // the state
	for (p += 2; *p; p++)
		if (*p == ' ' && ++field == 52) status = atoi(p + 1); // exit_code
	return status & 0x7f ? (status & ~0x7f) | darwin_signal(status & 0x7f) : status;
}

// A zombie is found if arg is 1 (proc_pidinfo of bsd/kern/proc_info.c).
static int s_proc_pidinfo(int pid, int flavor, uint64_t arg, void *to, int size) {
	double start, user, system;
	int parent;
	if (flavor == 1) return list_fds(pid, to, size); // PROC_PIDLISTFDS
	int zombie = zombie_status(pid);
	if (zombie >= 0 && arg != 1) return fails(D_ESRCH), 0;
	if (!process_times(pid, &start, &parent, &user, &system)) return fails(D_ESRCH), 0;
	if (flavor == 3 && size >= (int)sizeof(struct bsd_info)) { // PROC_PIDTBSDINFO
		char path[4096] = "";
		program_path(pid, path, sizeof path);
		const char *base = strrchr(path, '/');
		struct bsd_info *b = to;
		*b = (struct bsd_info){.flags = 0x10, .status = 2, .pid = pid, .ppid = parent, .uid = getuid(), .gid = getgid(), .ruid = getuid(),
			.rgid = getgid(), .svuid = getuid(), .svgid = getgid(), .start = start, .start_us = (start - (uint64_t)start) * 1e6};
		if (zombie >= 0) b->status = 5, b->xstatus = zombie; // SZOMB
		if (base) {
			snprintf(b->comm, sizeof b->comm, "%.15s", base + 1);
			snprintf(b->name, sizeof b->name, "%.31s", base + 1);
		}
		return sizeof *b;
	}
	if (flavor == 4 && size >= 96) { // PROC_PIDTASKINFO
		uint64_t *t = to;
		memset(to, 0, 96);
		t[2] = t[4] = user, t[3] = t[5] = system;
		return 96;
	}
	return fails(D_EINVAL), 0;
}

struct vinfo_stat {
	uint32_t dev;
	uint16_t mode, nlink;
	uint64_t ino;
	uint32_t uid, gid;
	int64_t times[8], size, blocks;
	uint32_t blksize, flags, gen, rdev;
	int64_t spare[2];
};

struct file_info {
	uint32_t flags, status;
	int64_t offset;
	int32_t type;
	uint32_t guard;
};

struct vnode_path {
	struct file_info file;
	struct vinfo_stat stat;
	int32_t type, pad, fsid[2];
	char path[1024];
};
_Static_assert(sizeof(struct vnode_path) == 1200, "vnode_fdinfowithpath");

static int s_proc_pidfdinfo(int pid, int fd, int flavor, void *to, int size) {
	char path[1024], link[64];
	if (path_of_fd(pid, fd, path, sizeof path)) return fails(9), 0; // EBADF
	snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
	struct stat st;
	if (stat(link, &st)) return fails(9), 0;
	if (flavor == 2 && fd_type(path) == 1 && size >= (int)sizeof(struct vnode_path)) { // PROC_PIDFDVNODEPATHINFO
		struct vnode_path *v = to;
		*v = (struct vnode_path){.stat = {.dev = st.st_dev, .mode = st.st_mode, .nlink = st.st_nlink, .ino = st.st_ino, .uid = st.st_uid,
			.gid = st.st_gid, .size = st.st_size, .blocks = st.st_blocks, .blksize = st.st_blksize}, .type = S_ISDIR(st.st_mode) ? 2 : 1};
		v->file.flags = 1; // FREAD
		memcpy(v->path, path, sizeof v->path);
		return sizeof *v;
	}
	if (flavor == 3 && fd_type(path) == 2 && size >= 792) { // PROC_PIDFDSOCKETINFO: the real type of an own socket; another process's is AF_UNIX
		int32_t *s = memset(to, 0, 792);
		int type = 1, domain = AF_UNIX;
		if (pid == getpid()) {
			socklen_t n = sizeof type;
			getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
			getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
		}
		s[176 / 4] = type, s[184 / 4] = domain == AF_INET6 ? 30 : domain, s[256 / 4] = domain == AF_UNIX ? 3 : 1;
		return 792;
	}
	return fails(D_EINVAL), 0;
}

// sysctl.

static long value(void *to, size_t *size, const void *from, size_t n) {
	if (to) {
		if (*size < n) return fails(D_ENOMEM);
		memcpy(to, from, n);
	}
	*size = n;
	return 0;
}

static long text(void *to, size_t *size, const char *s) { return value(to, size, s, strlen(s) + 1); }
static long number(void *to, size_t *size, uint32_t n) { return value(to, size, &n, sizeof n); }

// KERN_PROCARGS2: the count of arguments, the path, NULs, the arguments, the environment.
static long process_arguments(pid_t pid, char *to, size_t *size) {
	static char from[1 << 20];
	ssize_t n = read_file(pid, "cmdline", from, sizeof from);
	if (n <= 0) return fails(D_EINVAL);
	char path[4096] = "";
	int length = program_path(pid, path, sizeof path);
	char *p = from + strnlen(from, n) + 1; // after machorun
#ifdef __aarch64__
	if (strstr(from, "qemu")) p += strnlen(p, from + n - p) + 1;
#endif
	int32_t count = 0;
	for (char *q = p; q < from + n; q += strnlen(q, from + n - q) + 1) count++;
	size_t used = 0;
#define APPEND(what, bytes) ({ size_t b_ = (bytes); if (used + b_ > *size) return fails(D_ENOMEM); memcpy(to + used, what, b_); used += b_; })
	APPEND(&count, 4);
	APPEND(path, length + 1);
	while (used & 7) APPEND("", 1);
	if (p < from + n) APPEND(p, from + n - p);
	n = read_file(pid, "environ", from, sizeof from);
	if (n > 0) APPEND(from, n);
	*size = used;
	return 0;
}

static long s_sysctl(const int *name, unsigned n, void *to, size_t *size) {
	if (n == 2 && name[0] == 6 && name[1] == 3) return number(to, size, sysconf(_SC_NPROCESSORS_ONLN)); // HW_NCPU
	if (n == 2 && name[0] == 6 && name[1] == 7) return number(to, size, PAGE);                          // HW_PAGESIZE
	if (n == 3 && name[0] == 1 && name[1] == 49) return process_arguments(name[2], to, size);           // KERN_PROCARGS2
	return fails(D_ENOENT);
}

// The names that an Apple machine has, except those of Rosetta.
static long s_sysctlbyname(const char *name, void *to, size_t *size) {
	static const struct {
		const char *name, *text;
		uint64_t number;
		size_t bytes;
	} all[] = {
		{"kern.osproductversion", "15.4.1", 0, 0}, {"kern.osversion", "24E263", 0, 0}, {"kern.osrelease", "24.4.0", 0, 0},
		{"kern.ostype", "Darwin", 0, 0}, {"kern.bootargs", "-v amfi=0x80", 0, 0}, {"kern.hostname", "machorun.local", 0, 0},
		{"kern.version", "Darwin Kernel Version 24.4.0: machorun", 0, 0},
#ifdef __x86_64__
		{"hw.model", "MacPro7,1", 0, 0}, {"hw.machine", "x86_64", 0, 0}, {"hw.cputype", NULL, 7, 4}, {"hw.cpusubtype", NULL, 8, 4},
		{"hw.cpufrequency", NULL, 3200000000, 8}, {"hw.cpufrequency_max", NULL, 3300000000, 8},
		{"machdep.cpu.family", NULL, 6, 4}, {"machdep.cpu.model", NULL, 85, 4}, {"machdep.cpu.stepping", NULL, 7, 4},
		{"machdep.cpu.vendor", "GenuineIntel", 0, 0}, {"machdep.cpu.brand_string", "Intel(R) Xeon(R) W-3223 CPU @ 3.50GHz", 0, 0},
		{"machdep.cpu.signature", NULL, 0x50657, 4}, {"machdep.cpu.feature_bits", NULL, 0x7ffefbbfbfebfbff, 8},
		{"machdep.cpu.extfeature_bits", NULL, 0x0000012c100800, 8},
#else
		{"hw.model", "Mac16,1", 0, 0}, {"hw.machine", "arm64", 0, 0}, {"hw.cputype", NULL, 0x0100000c, 4}, {"hw.cpusubtype", NULL, 2, 4},
		{"hw.cpufamily", NULL, 0x17d5b93a, 4}, {"machdep.cpu.brand_string", "Apple M4", 0, 0}, {"hw.optional.arm64", NULL, 1, 4},
#endif
	};
	if (!strcmp(name, "hw.ncpu") || !strcmp(name, "hw.logicalcpu")) return number(to, size, sysconf(_SC_NPROCESSORS_ONLN));
	if (!strcmp(name, "hw.pagesize")) return value(to, size, &(uint64_t){PAGE}, 8);
	if (!strcmp(name, "hw.memsize")) return value(to, size, &(uint64_t){(uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)}, 8);
	for (size_t i = 0; i < COUNT(all); i++)
		if (!strcmp(all[i].name, name)) return all[i].text ? text(to, size, all[i].text) : value(to, size, &all[i].number, all[i].bytes);
	return fails(D_ENOENT);
}

static int s_pthread_threadid_np(pthread_t thread, uint64_t *id) {
	if (thread) return D_EINVAL;
	*id = gettid();
	return 0;
}

static int s_pthread_setname_np(const char *name) {
	strncpy(own_thread()->name, name, sizeof own_thread()->name - 1);
	return 0;
}

const struct import process_imports[] = {
	S(proc_pidfdinfo), S(proc_pidinfo), S(proc_pidpath), S(pthread_setname_np), S(pthread_threadid_np), S(sysctl), S(sysctlbyname), {0},
};
