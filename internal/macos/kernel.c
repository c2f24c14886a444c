// The part of Mach that our packages use. The loader of the calling process acts as the kernel: its table of ports is the task's name
// space, and it stops and reads other processes that machorun runs, as the holder of a task port can.
//
// A thread is stopped by a signal whose handler saves the registers in the shared table and waits there. This works for threads
// of any process, and also in a user-mode emulator, which has no ptrace.
#include "machorun.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef int32_t kern;
enum {
	KERN_SUCCESS, KERN_INVALID_ADDRESS, KERN_PROTECTION_FAILURE, KERN_NO_SPACE, KERN_INVALID_ARGUMENT, KERN_FAILURE,
	KERN_RESOURCE_SHORTAGE, KERN_ABORTED = 14, KERN_INVALID_NAME = 15, KERN_INVALID_TASK = 16, KERN_INVALID_RIGHT = 17,
	KERN_INVALID_VALUE = 18, KERN_UREFS_OVERFLOW = 19, KERN_INVALID_CAPABILITY = 20, KERN_TERMINATED = 37, KERN_NOT_SUPPORTED = 46,
	MIG_BAD_ARGUMENTS = -304, MIG_ARRAY_TOO_LARGE = -307,
	SEND_INVALID_DATA = 0x10000002, SEND_INVALID_DEST, SEND_TIMED_OUT, SEND_TOO_SMALL = 0x10000008, SEND_INVALID_REPLY,
	SEND_INVALID_RIGHT, SEND_TOO_LARGE = 0x1000000e, SEND_INVALID_TYPE = 0x1000000f,
	RCV_INVALID_NAME = 0x10004002, RCV_TIMED_OUT, RCV_TOO_LARGE,
	BOOTSTRAP_NAME_IN_USE = 1101, BOOTSTRAP_UNKNOWN_SERVICE,
};

// The signal that stops a thread. No signal of Darwin has this number, so a program never blocks it.
#define STOP (SIGRTMIN + 3)

struct shared *shared;

// Shared memory of processes.

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout) {
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static const struct timespec tick = {.tv_nsec = 20000000};

static uint64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static bool has_ended(pid_t pid) {
	int fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) return errno == ESRCH;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool ended = poll(&p, 1, 0) > 0;
	close(fd);
	return ended;
}

// stopped is the handler of STOP.
static void stopped(int sig, siginfo_t *info, void *context) {
	(void)sig, (void)info;
	int saved = errno;
	struct thread *t = own_thread();
	if (t && (atomic_load(&shared->suspended) || atomic_load(&t->suspended))) {
		if (t->faulted) ; // the registers are those of the exception
		else if (in_program(context_pc(context)) || !t->entry[0]) get_state(context, t);
		else {
			get_state(context, t); // the floating-point registers
			get_entry_state(t);
		}
		atomic_store(&t->stopped, 1);
		futex(&t->stopped, FUTEX_WAKE, INT_MAX, NULL);
		for (;;) {
			uint32_t seen = atomic_load(&shared->wake);
			if (!atomic_load(&shared->suspended) && !atomic_load(&t->suspended)) break;
			futex(&shared->wake, FUTEX_WAIT, seen, &tick);
			uint32_t by = atomic_load(&shared->suspender);
			if (by && has_ended(by)) atomic_store(&shared->suspended, 0), atomic_store(&shared->suspender, 0);
		}
		atomic_store(&t->stopped, 0);
	}
	errno = saved;
}

static void *map_shared(int fd) {
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size != sizeof *shared) return NULL;
	void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

void share(const char *path) {
	int fd = memfd_create("machorun", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof *shared) < 0 || dup3(fd, SHARED_FD, O_CLOEXEC) < 0) fatal("shared memory: %s", strerror(errno));
	close(fd);
	if (!(shared = map_shared(SHARED_FD))) fatal("shared memory: %s", strerror(errno));
	if (!realpath(path, shared->path)) fatal("%s: %s", path, strerror(errno));
	struct sigaction sa = {.sa_sigaction = stopped, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	sigaction(STOP, &sa, NULL);
}

void show_segment(uint64_t start, uint64_t end, int protection) {
	if (shared->segment_count == COUNT(shared->segments)) fatal("too many segments");
	shared->segments[shared->segment_count++] = (struct segment_shown){start, end, protection};
}

struct thread *new_thread(void) {
	uint32_t tid = gettid();
	for (size_t i = 0; i < COUNT(shared->threads); i++) {
		struct thread *t = &shared->threads[i];
		uint32_t none = 0;
		if (!atomic_compare_exchange_strong(&t->tid, &none, tid)) continue;
		memset(t->tls, 0, sizeof t->tls), memset(t->entry, 0, sizeof t->entry), memset(t->name, 0, sizeof t->name);
		atomic_store(&t->suspended, 0), atomic_store(&t->stopped, 0), t->faulted = false;
		t->handle = (uint64_t)t;
		pthread_attr_t a;
		void *low;
		size_t size;
		if (pthread_getattr_np(pthread_self(), &a)) fatal("pthread_getattr_np");
		pthread_attr_getstack(&a, &low, &size);
		pthread_attr_destroy(&a);
		t->stack_low = (uint64_t)low, t->stack_high = (uint64_t)low + size;
		return t;
	}
	fatal("too many threads");
}

void end_thread(void) { atomic_store(&own_thread()->tid, 0); }

// after_fork gives a child a private copy of what its parent shares.
void after_fork(void) {
	struct shared *copy = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED) _exit(126);
	*copy = *shared;
	if (mremap(copy, sizeof *copy, sizeof *copy, MREMAP_MAYMOVE | MREMAP_FIXED, shared) == MAP_FAILED) _exit(126);
	close(SHARED_FD);
	struct thread *own = own_thread();
	for (size_t i = 0; i < COUNT(shared->threads); i++) shared->threads[i].tid = 0;
	own->tid = gettid();
	shared->suspended = 0;
}

// A task inherits the exception ports of its parent, and keeps them when it executes another program (ipc_task_init of
// osfmk/kern/ipc_tt.c).
#define PORTS_VARIABLE "MACHORUN_PORTS="

char *ports_text(void) {
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	if (!f) fatal("no memory");
	fputs(PORTS_VARIABLE, f);
	for (size_t i = 1; i < COUNT(shared->ports); i++) {
		const struct exception_port *p = &shared->ports[i];
		if (p->address[0]) fprintf(f, "%zu,%x,%x,%s;", i, p->behavior, p->flavor, p->address);
	}
	fclose(f);
	return text;
}

void ports_from_text(char **environment) {
	char *text = NULL;
	for (char **e = environment; *e; e++)
		if (!strncmp(*e, PORTS_VARIABLE, strlen(PORTS_VARIABLE))) {
			text = *e + strlen(PORTS_VARIABLE);
			for (char **next = e; (next[0] = next[1]); next++) ;
			break;
		}
	for (char *one; text && (one = strsep(&text, ";"));) {
		unsigned i, behavior, flavor;
		char address[ADDRESS];
		if (sscanf(one, "%u,%x,%x,%63s", &i, &behavior, &flavor, address) != 4 || i >= COUNT(shared->ports)) continue;
		struct exception_port *p = &shared->ports[i];
		p->behavior = behavior, p->flavor = flavor;
		memcpy(p->address, address, sizeof p->address);
	}
}

// Ports. A name is the index of an entry << 8 | 3.

enum kind { FREE, TASK, THREAD, HOST, BOOTSTRAP, PORT, PORT_SET, DEAD };

struct entry {
	enum kind kind;
	pid_t pid; // of a TASK or THREAD
	uint32_t tid;
	char address[ADDRESS]; // of a PORT: its socket's name, in the abstract space
	uint32_t send, send_once, receive; // number of references to the right
	int socket;                        // of a receive right
	uint32_t set;                      // the port set it is in
};

static struct entry entries[1024];
static atomic_flag busy = ATOMIC_FLAG_INIT;
static __thread sigset_t before;

// A thread must not be stopped while it has the lock: the thread that stopped it may need the table.
static void lock(void) {
	sigset_t s, old;
	sigfillset(&s);
	pthread_sigmask(SIG_BLOCK, &s, &old);
	while (atomic_flag_test_and_set(&busy)) sched_yield();
	before = old;
}

static void unlock(void) {
	sigset_t old = before;
	atomic_flag_clear(&busy);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static struct entry *entry(uint32_t name) {
	if ((name & 0xff) != 3 || name >> 8 >= COUNT(entries)) return NULL;
	struct entry *e = &entries[name >> 8];
	return e->kind == FREE ? NULL : e;
}

static uint32_t name_of(const struct entry *e) { return (e - entries) << 8 | 3; }

// An object is what an entry refers to, and what is passed between processes.
struct object {
	enum kind kind;
	pid_t pid;
	uint32_t tid;
	char address[ADDRESS];
};

static bool same(const struct entry *e, const struct object *o) {
	return e->kind == o->kind && e->pid == o->pid && e->tid == o->tid && !strcmp(e->address, o->address);
}

static struct entry *empty_entry(void) {
	for (size_t i = 1; i < COUNT(entries); i++)
		if (entries[i].kind == FREE) {
			entries[i] = (struct entry){.socket = -1};
			return &entries[i];
		}
	fatal("too many ports");
}

// entry_for returns the entry of o. All send and receive rights of a task for one object share an entry; each send-once right has its own.
static struct entry *entry_for(const struct object *o, bool once) {
	if (!once)
		for (size_t i = 1; i < COUNT(entries); i++)
			if (entries[i].kind != FREE && !entries[i].send_once && same(&entries[i], o)) return &entries[i];
	struct entry *e = empty_entry();
	e->kind = o->kind, e->pid = o->pid, e->tid = o->tid;
	memcpy(e->address, o->address, sizeof e->address);
	return e;
}

static uint32_t add_send(const struct object *o) {
	lock();
	struct entry *e = entry_for(o, false);
	e->send++;
	uint32_t name = name_of(e);
	unlock();
	return name;
}

// object_of sets o to the object to which name refers, if that is of kind a or b.
static bool object_of(uint32_t name, enum kind a, enum kind b, struct object *o) {
	lock();
	struct entry *e = entry(name);
	bool ok = e && (e->kind == a || e->kind == b);
	if (ok) {
		*o = (struct object){.kind = e->kind, .pid = e->pid, .tid = e->tid};
		memcpy(o->address, e->address, sizeof o->address);
	}
	unlock();
	return ok;
}

static void free_if_unused(struct entry *e) {
	if (e->send || e->send_once || e->receive) return;
	if (e->socket >= 0) close(e->socket);
	e->kind = FREE;
}

static struct sockaddr_un socket_name(const char *address, socklen_t *size) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strncpy(a.sun_path + 1, address, sizeof a.sun_path - 2);
	*size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address);
	return a;
}

// bound creates the socket of a port, bound to address.
static int bound(const char *address) {
	socklen_t size;
	struct sockaddr_un a = socket_name(address, &size);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (void *)&a, size) < 0) close(fd), fd = -1;
	if (fd < 0) return -1;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, SHARED_FD + 1);
	close(fd);
	return high;
}

static void new_address(char address[ADDRESS]) {
	uint64_t random[2];
	if (getrandom(random, sizeof random, 0) != sizeof random) fatal("getrandom");
	snprintf(address, ADDRESS, "machorun-port-%016lx%016lx", (long)random[0], (long)random[1]);
}

static uint32_t new_port(const char *address, bool send) {
	struct object o = {.kind = PORT};
	if (address) strncpy(o.address, address, sizeof o.address - 1);
	else new_address(o.address);
	int fd = bound(o.address);
	if (fd < 0) return 0;
	lock();
	struct entry *e = entry_for(&o, false);
	e->receive = 1, e->socket = fd, e->send = send;
	uint32_t name = name_of(e);
	unlock();
	return name;
}

static struct object own_task(void) { return (struct object){.kind = TASK, .pid = getpid()}; }

static uint32_t s_mach_task_self(void) {
	struct object o = own_task();
	return add_send(&o);
}

static uint32_t s_mach_thread_self(void) {
	struct object o = {.kind = THREAD, .pid = getpid(), .tid = gettid()};
	return add_send(&o);
}

static uint32_t s_mach_host_self(void) { return add_send(&(struct object){.kind = HOST}); }
static uint32_t s_mach_reply_port(void) { return new_port(NULL, false); }

static bool is_self(uint32_t task) {
	struct object o;
	return object_of(task, TASK, TASK, &o) && o.pid == getpid();
}

static kern s_mach_port_allocate(uint32_t task, uint32_t right, uint32_t *name) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	if (right == 1) { // MACH_PORT_RIGHT_RECEIVE
		*name = new_port(NULL, false);
		return *name ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
	}
	if (right != 3) return KERN_INVALID_VALUE; // MACH_PORT_RIGHT_PORT_SET
	lock();
	struct entry *e = empty_entry();
	e->kind = PORT_SET, e->receive = 1;
	*name = name_of(e);
	unlock();
	return KERN_SUCCESS;
}

static kern s_mach_port_mod_refs(uint32_t task, uint32_t name, uint32_t right, int32_t delta) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	lock();
	struct entry *e = entry(name);
	uint32_t *count = !e ? NULL : right == 0 ? &e->send : right == 1 || right == 3 ? &e->receive : right == 2 ? &e->send_once : NULL;
	kern r = KERN_SUCCESS;
	if (!e) r = KERN_INVALID_NAME;
	else if (!count || !*count) r = KERN_INVALID_RIGHT;
	else if ((int64_t)*count + delta < 0) r = KERN_INVALID_VALUE;
	else {
		*count += delta;
		if (!e->receive && e->socket >= 0) { // the port has ended: the remaining send rights are dead names
			close(e->socket);
			e->socket = -1, e->kind = DEAD, e->address[0] = 0;
		}
		free_if_unused(e);
	}
	unlock();
	return r;
}

static kern release(uint32_t name) {
	lock();
	struct entry *e = entry(name);
	kern r = KERN_SUCCESS;
	if (!e) r = KERN_INVALID_NAME;
	else if (e->send_once) e->send_once--, free_if_unused(e);
	else if (e->send) e->send--, free_if_unused(e);
	else r = KERN_INVALID_RIGHT;
	unlock();
	return r;
}

static kern s_mach_port_deallocate(uint32_t task, uint32_t name) { return is_self(task) ? release(name) : SEND_INVALID_DEST; }

static kern s_mach_port_insert_right(uint32_t task, uint32_t name, uint32_t poly, uint32_t disposition) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	lock();
	struct entry *e = entry(poly);
	kern r = KERN_SUCCESS;
	if (name != poly) r = KERN_INVALID_CAPABILITY;
	else if (!e) r = KERN_INVALID_NAME;
	else if (disposition == 20 && e->receive) e->send++; // MACH_MSG_TYPE_MAKE_SEND
	else if (disposition == 19 && e->send) e->send++;    // MACH_MSG_TYPE_COPY_SEND
	else r = KERN_INVALID_RIGHT;
	unlock();
	return r;
}

static kern s_mach_port_get_refs(uint32_t task, uint32_t name, uint32_t right, uint32_t *refs) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	lock();
	struct entry *e = entry(name);
	if (e) *refs = right == 0 ? e->send : right == 1 ? e->receive : right == 2 ? e->send_once : 0;
	unlock();
	return e ? KERN_SUCCESS : KERN_INVALID_NAME;
}

// Tasks.

// open_task maps what a process shares. It returns NULL if the process does not run under machorun, or has ended.
static struct shared *open_task(pid_t pid) {
	if (pid == getpid()) return shared;
	char path[64], to[64] = "";
	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, SHARED_FD);
	if (readlink(path, to, sizeof to - 1) < 0 || strncmp(to, "/memfd:machorun", 15)) return NULL;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) return NULL;
	void *p = map_shared(fd);
	close(fd);
	return p;
}

static void close_task(struct shared *s) {
	if (s && s != shared) munmap(s, sizeof *s);
}

static kern s_task_for_pid(uint32_t task, int pid, uint32_t *port) {
	*port = 0;
	if (!is_self(task)) return KERN_INVALID_ARGUMENT;
	struct shared *s = pid > 0 ? open_task(pid) : NULL;
	if (!s) return KERN_FAILURE;
	close_task(s);
	*port = add_send(&(struct object){.kind = TASK, .pid = pid});
	return KERN_SUCCESS;
}

static kern s_pid_for_task(uint32_t task, int *pid) {
	struct object o;
	if (!object_of(task, TASK, TASK, &o)) return KERN_FAILURE;
	*pid = o.pid;
	return KERN_SUCCESS;
}

// target opens the task of a port.
static struct shared *target(uint32_t port, struct object *o) {
	return object_of(port, TASK, TASK, o) ? open_task(o->pid) : NULL;
}

static bool alive(pid_t pid, uint32_t tid) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%u", pid, tid);
	return access(path, F_OK) == 0;
}

// stop makes a thread wait in the handler, after the caller has increased its suspend count or its task's.
static bool stop(pid_t pid, struct thread *t) {
	uint32_t tid = t->tid;
	if (pid == getpid() && tid == (uint32_t)gettid()) { // the thread stops itself, and continues when it is resumed
		syscall(SYS_tgkill, pid, tid, STOP);
		return true;
	}
	for (uint64_t end = now_ms() + 10000; now_ms() < end;) {
		if (atomic_load(&t->stopped)) return true;
		if (syscall(SYS_tgkill, pid, tid, STOP) < 0 || t->tid != tid) return false;
		futex(&t->stopped, FUTEX_WAIT, 0, &tick);
	}
	return false;
}

static void resume(struct shared *s) {
	atomic_fetch_add(&s->wake, 1);
	futex(&s->wake, FUTEX_WAKE, INT_MAX, NULL);
}

// Until all threads are stopped, they may start others.
static kern s_task_suspend(uint32_t port) {
	struct object o;
	struct shared *s = target(port, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	if (o.pid != getpid()) atomic_store(&s->suspender, getpid());
	atomic_fetch_add(&s->suspended, 1);
	struct thread *self = NULL;
	for (bool all = false; !all;) {
		all = true;
		for (size_t i = 0; i < COUNT(s->threads); i++) {
			struct thread *t = &s->threads[i];
			if (!t->tid || atomic_load(&t->stopped)) continue;
			if (o.pid == getpid() && t->tid == (uint32_t)gettid()) {
				self = t;
				continue;
			}
			all = false;
			if (!stop(o.pid, t) && !alive(o.pid, t->tid)) t->tid = 0;
		}
	}
	if (self) stop(o.pid, self);
	close_task(s);
	return KERN_SUCCESS;
}

static kern s_task_resume(uint32_t port) {
	struct object o;
	struct shared *s = target(port, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	kern r = atomic_load(&s->suspended) ? KERN_SUCCESS : KERN_FAILURE;
	if (!r && atomic_fetch_sub(&s->suspended, 1) == 1) atomic_store(&s->suspender, 0);
	resume(s);
	close_task(s);
	return r;
}

static kern s_task_threads(uint32_t port, uint32_t **list, uint32_t *count) {
	struct object o;
	struct shared *s = target(port, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	uint32_t *names = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (names == MAP_FAILED) return KERN_RESOURCE_SHORTAGE;
	*count = 0;
	for (size_t i = 0; i < COUNT(s->threads); i++) {
		uint32_t tid = s->threads[i].tid;
		if (tid && alive(o.pid, tid)) names[(*count)++] = add_send(&(struct object){.kind = THREAD, .pid = o.pid, .tid = tid});
	}
	*list = names;
	close_task(s);
	return KERN_SUCCESS;
}

struct time_value {
	int32_t seconds, microseconds;
};

static struct time_value time_of(double seconds) {
	return (struct time_value){seconds, (seconds - (int32_t)seconds) * 1e6};
}

// times reads utime and stime from a stat file of procfs, in seconds.
static void times(const char *path, double *user, double *system) {
	char text[1024] = "";
	unsigned long u = 0, s = 0;
	*user = *system = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	char *p = n > 0 ? strrchr(text, ')') : NULL;
	if (p) sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s);
	*user = (double)u / sysconf(_SC_CLK_TCK), *system = (double)s / sysconf(_SC_CLK_TCK);
}

static kern out(uint32_t *to, uint32_t *count, const void *from, size_t size) {
	if (*count < size / 4) return KERN_INVALID_ARGUMENT;
	memcpy(to, from, size);
	*count = size / 4;
	return KERN_SUCCESS;
}

static kern s_task_info(uint32_t port, uint32_t flavor, uint32_t *to, uint32_t *count) {
	struct object o;
	struct shared *s = target(port, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	uint32_t suspended = s->suspended;
	close_task(s);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", o.pid);
	double user, system;
	times(path, &user, &system);
	switch (flavor) {
	case 3: // TASK_THREAD_TIMES_INFO
		return out(to, count, (struct time_value[]){time_of(user), time_of(system)}, 16);
	case 15: // TASK_AUDIT_TOKEN
		return out(to, count, (uint32_t[]){getuid(), geteuid(), getegid(), getuid(), getgid(), o.pid, 0, 1}, 32);
	case 17: { // TASK_DYLD_INFO
		uint64_t info[3] = {image_infos(), image_infos_size(), 1};
		return out(to, count, info, 20);
	}
	case 20: { // MACH_TASK_BASIC_INFO: no thread has ended
		unsigned long size = 0, resident = 0;
		snprintf(path, sizeof path, "/proc/%d/statm", o.pid);
		FILE *f = fopen(path, "re");
		if (!f) return KERN_INVALID_ARGUMENT;
		if (fscanf(f, "%lu %lu", &size, &resident) != 2) size = 0;
		fclose(f);
		uint64_t info[6] = {size * 4096, resident * 4096, resident * 4096, 0, 0, 1 | (uint64_t)suspended << 32};
		return out(to, count, info, sizeof info);
	}
	}
	return KERN_INVALID_ARGUMENT;
}

static kern s_task_get_special_port(uint32_t port, int which, uint32_t *special) {
	struct object o;
	if (!object_of(port, TASK, TASK, &o)) return KERN_INVALID_ARGUMENT;
	if (which != 4) return KERN_INVALID_ARGUMENT; // TASK_BOOTSTRAP_PORT
	*special = add_send(&(struct object){.kind = BOOTSTRAP});
	return KERN_SUCCESS;
}

static kern s_task_identity_token_get_task_port(uint32_t token, uint32_t flavor, uint32_t *port) {
	struct object o;
	if (flavor || !object_of(token, TASK, TASK, &o)) return KERN_INVALID_ARGUMENT;
	*port = add_send(&o);
	return KERN_SUCCESS;
}

// Threads.

static struct thread *target_thread(uint32_t port, struct object *o, struct shared **s) {
	*s = NULL;
	if (!object_of(port, THREAD, THREAD, o) || !(*s = open_task(o->pid))) return NULL;
	for (size_t i = 0; i < COUNT((*s)->threads); i++)
		if ((*s)->threads[i].tid == o->tid && alive(o->pid, o->tid)) return &(*s)->threads[i];
	close_task(*s);
	return NULL;
}

static kern s_thread_suspend(uint32_t port) {
	struct object o;
	struct shared *s;
	struct thread *t = target_thread(port, &o, &s);
	if (!t) return KERN_INVALID_ARGUMENT;
	atomic_fetch_add(&t->suspended, 1);
	kern r = stop(o.pid, t) ? KERN_SUCCESS : KERN_TERMINATED;
	close_task(s);
	return r;
}

static kern s_thread_resume(uint32_t port) {
	struct object o;
	struct shared *s;
	struct thread *t = target_thread(port, &o, &s);
	if (!t) return KERN_INVALID_ARGUMENT;
	kern r = atomic_load(&t->suspended) ? KERN_SUCCESS : KERN_FAILURE;
	if (!r) atomic_fetch_sub(&t->suspended, 1);
	resume(s);
	close_task(s);
	return r;
}

static kern s_thread_get_state(uint32_t port, int flavor, uint32_t *to, uint32_t *count) {
	struct object o;
	struct shared *s;
	struct thread *t = target_thread(port, &o, &s);
	if (!t) return KERN_INVALID_ARGUMENT;
	bool self = t == own_thread(), running = !self && !atomic_load(&t->stopped) && !t->faulted;
	kern r = KERN_SUCCESS;
	if (self) get_entry_state(t), memset(t->floats, 0, sizeof t->floats);
	if (running) {
		atomic_fetch_add(&t->suspended, 1);
		if (!stop(o.pid, t)) r = KERN_TERMINATED;
	}
	if (r) ;
	else if (flavor == THREAD_STATE) r = out(to, count, t->state, sizeof t->state);
	else if (flavor == FLOAT_STATE) r = out(to, count, t->floats, sizeof t->floats);
	else if (flavor == EXCEPTION_STATE) r = out(to, count, t->exception, sizeof t->exception);
	else r = KERN_INVALID_ARGUMENT;
	if (running) {
		atomic_fetch_sub(&t->suspended, 1);
		resume(s);
	}
	close_task(s);
	return r;
}

static kern s_thread_info(uint32_t port, uint32_t flavor, uint32_t *to, uint32_t *count) {
	struct object o;
	struct shared *s;
	struct thread *t = target_thread(port, &o, &s);
	if (!t) return KERN_INVALID_ARGUMENT;
	struct {
		uint64_t user, system;
		int32_t usage, policy, state, flags, sleep, current, priority, max;
		char name[64];
	} x = {.policy = 1, .state = 3, .current = 31, .priority = 31, .max = 63};
	uint64_t id[3] = {o.tid, t->handle, 0};
	memcpy(x.name, t->name, sizeof x.name);
	int32_t suspended = t->suspended;
	close_task(s);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%u/stat", o.pid, o.tid);
	double user, system;
	times(path, &user, &system);
	x.user = user * 1e9, x.system = system * 1e9;
	switch (flavor) {
	case 3: { // THREAD_BASIC_INFO
		struct {
			struct time_value user, system;
			int32_t usage, policy, state, flags, suspended, sleep;
		} b = {time_of(user), time_of(system), 0, 1, 3, 0, suspended, 0};
		return out(to, count, &b, sizeof b);
	}
	case 4: return out(to, count, id, sizeof id); // THREAD_IDENTIFIER_INFO
	case 5: return out(to, count, &x, sizeof x);  // THREAD_EXTENDED_INFO
	}
	return KERN_INVALID_ARGUMENT;
}

// Memory.

// readable reports whether all of a range is mapped and readable.
static bool readable(pid_t pid, uint64_t at, uint64_t size) {
	char path[64], line[4500];
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps) return false;
	uint64_t end = at + size;
	while (at < end && fgets(line, sizeof line, maps)) {
		unsigned long from, to;
		char r;
		if (sscanf(line, "%lx-%lx %c", &from, &to, &r) == 3 && from <= at && at < to && r == 'r') at = to;
	}
	fclose(maps);
	return at >= end;
}

// copy_from reads memory of a process. The emulator of arm64 programs has no process_vm_readv. /proc/PID/mem, which is used instead,
// ignores the protection.
static kern copy_from(pid_t pid, uint64_t address, void *to, size_t size) {
	struct iovec local = {to, size}, remote = {(void *)address, size};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	if (n < 0 && errno == ENOSYS) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/mem", pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) return KERN_INVALID_ADDRESS;
		n = readable(pid, address, size) ? pread(fd, to, size, address) : -1;
		close(fd);
	}
	return n == (ssize_t)size ? KERN_SUCCESS : KERN_INVALID_ADDRESS;
}

static kern s_mach_vm_read_overwrite(uint32_t port, uint64_t address, uint64_t size, uint64_t to, uint64_t *done) {
	struct object o;
	if (!object_of(port, TASK, TASK, &o)) return KERN_INVALID_ARGUMENT;
	kern r = copy_from(o.pid, address, (void *)to, size);
	if (!r) *done = size;
	return r;
}

// Packed, as in <mach/vm_region.h>.
struct region {
	uint32_t protection, max_protection, inheritance, offset[2], user_tag, resident, shared_now_private, swapped_out, dirtied, ref_count;
	uint16_t shadow_depth;
	uint8_t external_pager, share_mode;
	uint32_t is_submap, behavior, object_id, wired, reusable, full_id[2];
};
_Static_assert(sizeof(struct region) == 76, "vm_region_submap_info_64");

// next_region finds the first mapping in maps that ends above address: inside the shared cache if cache is true, otherwise outside it.
static bool next_region(FILE *maps, struct shared *s, uint64_t address, bool cache, uint64_t *start, uint64_t *end, struct region *r) {
	char line[4500];
	while (fgets(line, sizeof line, maps)) {
		unsigned long from, to, offset, inode;
		char p[5];
		if (sscanf(line, "%lx-%lx %4s %lx %*s %lu", &from, &to, p, &offset, &inode) != 5) continue;
		if (to <= address || from >= 1ul << 47 || strstr(line, "[vvar")) continue; // the kernel's data, which no other process can read
		if ((from >= CACHE && from < CACHE + CACHE_SIZE) != cache) continue;
		uint32_t protection = (p[0] == 'r') | (p[1] == 'w') << 1 | (p[2] == 'x') << 2;
		for (int i = 0; i < s->segment_count; i++)
			if (from >= s->segments[i].start && from < s->segments[i].end) protection = s->segments[i].protection;
		*r = (struct region){.protection = protection, .max_protection = 7, .inheritance = 1, .offset = {offset, offset >> 32}, .ref_count = 1,
			.external_pager = inode != 0, .share_mode = p[3] == 's' ? 4 : inode ? 1 : 2, .object_id = inode};
		for (size_t i = 0; i < COUNT(s->threads); i++)
			if (s->threads[i].tid && from < s->threads[i].stack_high && to > s->threads[i].stack_low && protection) r->user_tag = 30; // VM_MEMORY_STACK
		*start = from, *end = to;
		return true;
	}
	return false;
}

static bool region_after(pid_t pid, struct shared *s, uint64_t address, bool cache, uint64_t *start, uint64_t *end, struct region *r) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps) return false;
	bool found = next_region(maps, s, address, cache, start, end, r);
	fclose(maps);
	return found;
}

// The shared cache is a submap of the task's map: at depth 0 it is one region, at depth 1 there are the regions in it.
static kern s_mach_vm_region_recurse(uint32_t port, uint64_t *address, uint64_t *size, uint32_t *depth, struct region *info, uint32_t *count) {
	struct object o;
	struct shared *s = target(port, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	uint64_t start = 0, end = 0;
	const uint64_t cache_end = CACHE + CACHE_SIZE;
	struct region r;
	uint32_t deep = 0;
	bool found = region_after(o.pid, s, *address, false, &start, &end, &r);
	if (*address < cache_end && (!found || start >= cache_end)) {
		uint64_t from, to;
		struct region inside;
		if (*depth == 0) {
			start = CACHE, end = cache_end, found = true;
			r = (struct region){.protection = 5, .max_protection = 7, .share_mode = 5, .is_submap = 1, .ref_count = 2};
		} else if (region_after(o.pid, s, *address, true, &from, &to, &inside)) start = from, end = to, r = inside, deep = 1, found = true;
	}
	close_task(s);
	if (!found) return KERN_INVALID_ADDRESS;
	*address = start, *size = end - start, *depth = deep;
	uint32_t words = *count < sizeof r / 4 ? *count : sizeof r / 4;
	memcpy(info, &r, 4 * words);
	*count = words;
	return KERN_SUCCESS;
}

static kern s_mach_vm_allocate(uint32_t task, uint64_t *address, uint64_t size, int flags) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	void *p = mmap((void *)*address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (flags & 1 ? 0 : MAP_FIXED_NOREPLACE), -1, 0);
	if (p == MAP_FAILED) return KERN_NO_SPACE;
	*address = (uint64_t)p;
	return KERN_SUCCESS;
}

static uint64_t round_page(uint64_t n) { return (n + PAGE - 1) & -(uint64_t)PAGE; }

static kern s_mach_vm_deallocate(uint32_t task, uint64_t address, uint64_t size) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	return munmap((void *)address, round_page(size)) ? KERN_INVALID_ADDRESS : KERN_SUCCESS;
}

static kern s_mach_vm_protect(uint32_t task, uint64_t address, uint64_t size, int maximum, int protection) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	if (maximum) return KERN_NOT_SUPPORTED;
	return mprotect((void *)address, round_page(size), protection) ? KERN_INVALID_ADDRESS : KERN_SUCCESS;
}

static kern s_host_info(uint32_t host, int flavor, uint32_t *to, uint32_t *count) {
	struct object o;
	if (!object_of(host, HOST, HOST, &o) || flavor != 1) return KERN_INVALID_ARGUMENT; // HOST_BASIC_INFO
	uint32_t n = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	uint32_t info[12] = {n, n, memory > 0x80000000 ? 0x80000000 : memory, CPU_TYPE, 3, 0, n, n, n, n, memory, memory >> 32};
	return out(to, count, info, sizeof info);
}

// Messages. A datagram of a socket consists of an envelope and the message as it was sent.

enum { MAX_DESCRIPTORS = 8, MAX_MESSAGE = 32768, COMPLEX = 0x80000000 };

struct envelope {
	uint32_t size, count;
	struct object reply;
	uint32_t reply_type; // disposition of the reply port's right, as received
	struct object rights[MAX_DESCRIPTORS];
	uint32_t types[MAX_DESCRIPTORS];
	uint32_t uid, gid, pid;
};

struct header {
	uint32_t bits, size, remote, local, voucher, id;
};

// take moves a right out of the table, or copies it, according to a message's disposition. type is set to the disposition with which
// the right arrives.
static bool take(uint32_t name, uint32_t disposition, struct object *o, uint32_t *type) {
	lock();
	struct entry *e = entry(name);
	bool ok = e != NULL;
	if (ok) {
		*o = (struct object){.kind = e->kind, .pid = e->pid, .tid = e->tid};
		memcpy(o->address, e->address, sizeof o->address);
	}
	switch (ok ? disposition : 0) {
	case 17: ok = e->send > 0; if (ok) e->send--, free_if_unused(e); *type = 17; break;           // MOVE_SEND
	case 18: ok = e->send_once > 0; if (ok) e->send_once--, free_if_unused(e); *type = 18; break; // MOVE_SEND_ONCE
	case 19: ok = e->send > 0; *type = 17; break;                                               // COPY_SEND
	case 20: ok = e->receive > 0; *type = 17; break;                                            // MAKE_SEND
	case 21: ok = e->receive > 0; *type = 18; break;                                            // MAKE_SEND_ONCE
	default: ok = false;
	}
	unlock();
	return ok;
}

// give adds a received right to the table.
static uint32_t give(const struct object *o, uint32_t type) {
	if (o->kind == FREE) return 0;
	lock();
	struct entry *e = entry_for(o, type == 18);
	if (type == 18) e->send_once = 1;
	else e->send++;
	uint32_t name = name_of(e);
	unlock();
	return name;
}

static kern transmit(const char *address, const struct envelope *v, const void *message, uint32_t timeout) {
	socklen_t size;
	struct sockaddr_un a = socket_name(address, &size);
	struct iovec parts[2] = {{(void *)v, sizeof *v}, {(void *)message, v->size}};
	struct msghdr m = {.msg_name = &a, .msg_namelen = size, .msg_iov = parts, .msg_iovlen = 2};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return SEND_INVALID_DEST;
	struct timeval t = {timeout / 1000, timeout % 1000 * 1000 + 1};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
	int e = errno;
	close(fd);
	if (n >= 0) return KERN_SUCCESS;
	return e == EAGAIN ? SEND_TIMED_OUT : e == EMSGSIZE ? SEND_TOO_LARGE : SEND_INVALID_DEST;
}

static kern send_message(const uint8_t *m, uint32_t size, uint32_t timeout) {
	struct header h;
	if (size < sizeof h) return SEND_TOO_SMALL;
	memcpy(&h, m, sizeof h);
	if (size > MAX_MESSAGE) return SEND_TOO_LARGE;
	struct envelope v = {.size = size, .uid = getuid(), .gid = getgid(), .pid = getpid()};
	struct object to;
	uint32_t type;
	if (!take(h.remote, h.bits & 0x1f, &to, &type) || to.kind != PORT) return SEND_INVALID_DEST;
	if (h.bits >> 8 & 0x1f && !take(h.local, h.bits >> 8 & 0x1f, &v.reply, &v.reply_type)) return SEND_INVALID_REPLY;
	if (h.bits & COMPLEX) {
		if (size < sizeof h + 4) return SEND_TOO_SMALL;
		memcpy(&v.count, m + sizeof h, 4);
		if (v.count > MAX_DESCRIPTORS || sizeof h + 4 + 12 * v.count > size) return SEND_TOO_SMALL;
		for (uint32_t i = 0; i < v.count; i++) {
			const uint8_t *d = m + sizeof h + 4 + 12 * i;
			uint32_t name;
			memcpy(&name, d, 4);
			if (d[11] != 0) return SEND_INVALID_TYPE; // MACH_MSG_PORT_DESCRIPTOR
			if (name && !take(name, d[10], &v.rights[i], &v.types[i])) return SEND_INVALID_RIGHT;
		}
	}
	return transmit(to.address, &v, m, timeout);
}

// receive_sockets lists the sockets of a receive right or of a port set, and their names.
static int receive_sockets(uint32_t name, struct pollfd *p, uint32_t *names, int room) {
	int n = 0;
	lock();
	struct entry *e = entry(name);
	if (e && e->kind == PORT && e->receive) p[0] = (struct pollfd){.fd = e->socket, .events = POLLIN}, names[0] = name, n = 1;
	if (e && e->kind == PORT_SET)
		for (size_t i = 0; i < COUNT(entries) && n < room; i++)
			if (entries[i].kind == PORT && entries[i].set == name)
				p[n] = (struct pollfd){.fd = entries[i].socket, .events = POLLIN}, names[n++] = name_of(&entries[i]);
	unlock();
	return n;
}

static kern receive_message(uint8_t *m, uint32_t options, uint32_t room, uint32_t name, uint32_t timeout) {
	struct pollfd p[64];
	uint32_t names[64];
	int n = receive_sockets(name, p, names, COUNT(p));
	if (!n) return RCV_INVALID_NAME;
	uint64_t end = now_ms() + timeout;
	for (;;) {
		int wait = -1;
		if (options & 0x100) { // MACH_RCV_TIMEOUT
			uint64_t now = now_ms();
			wait = now < end ? end - now : 0;
		}
		int ready = poll(p, n, wait);
		if (ready == 0) return RCV_TIMED_OUT;
		if (ready > 0) break;
	}
	int from = 0;
	while (!p[from].revents) from++;
	uint8_t buffer[sizeof(struct envelope) + MAX_MESSAGE];
	ssize_t got = recv(p[from].fd, buffer, sizeof buffer, MSG_DONTWAIT);
	struct envelope *v = (void *)buffer;
	if (got < (ssize_t)sizeof *v || got != (ssize_t)sizeof *v + v->size) return RCV_TIMED_OUT;
	const uint32_t trailer = options >> 24 & 0xf ? 52 : 8, padded = (v->size + 3) & ~3u;
	if (padded + trailer > room) return RCV_TOO_LARGE;
	memcpy(m, buffer + sizeof *v, v->size);
	struct header *h = (void *)m;
	h->bits = (h->bits & COMPLEX) | v->reply_type | 17 << 8;
	h->size = v->size;
	h->remote = give(&v->reply, v->reply_type);
	h->local = names[from];
	h->voucher = 0;
	for (uint32_t i = 0; i < v->count; i++) {
		uint8_t *d = m + sizeof *h + 4 + 12 * i;
		uint32_t right = give(&v->rights[i], v->types[i]);
		memcpy(d, &right, 4);
		d[10] = v->types[i];
	}
	uint32_t t[13] = {0, trailer, 1, v->uid, v->gid, v->uid, v->uid, v->gid, v->uid, v->gid, v->pid, 0, 1};
	memcpy(m + padded, t, trailer);
	return KERN_SUCCESS;
}

static kern s_mach_msg(uint8_t *m, uint32_t options, uint32_t send, uint32_t room, uint32_t name, uint32_t timeout, uint32_t notify) {
	(void)notify;
	kern r = KERN_SUCCESS;
	if (options & 1) r = send_message(m, send, options & 0x10 ? timeout : 60000); // MACH_SEND_MSG, MACH_SEND_TIMEOUT
	if (!r && options & 2) r = receive_message(m, options, room, name, timeout);
	return r;
}

// mach_msg_destroy releases the rights in a received message: libsyscall/mach/mach_msg.c.
static void s_mach_msg_destroy(uint8_t *m) {
	struct header h;
	memcpy(&h, m, sizeof h);
	if (h.remote) release(h.remote);
	if (!(h.bits & COMPLEX)) return;
	uint32_t count;
	memcpy(&count, m + sizeof h, 4);
	for (uint32_t i = 0; i < count && i < MAX_DESCRIPTORS; i++) {
		uint32_t name;
		memcpy(&name, m + sizeof h + 4 + 12 * i, 4);
		if (name) release(name);
	}
}

static kern s_mach_port_insert_member(uint32_t task, uint32_t name, uint32_t set) {
	if (!is_self(task)) return SEND_INVALID_DEST;
	lock();
	struct entry *e = entry(name), *s = entry(set);
	kern r = e && s && e->receive && s->kind == PORT_SET ? KERN_SUCCESS : KERN_INVALID_NAME;
	if (!r) e->set = set;
	unlock();
	return r;
}

// The bootstrap server is represented by the name space of sockets.

static kern service(uint32_t server, const char *name, struct object *o) {
	struct object b;
	if (!object_of(server, BOOTSTRAP, BOOTSTRAP, &b)) return KERN_INVALID_ARGUMENT;
	*o = (struct object){.kind = PORT};
	return snprintf(o->address, sizeof o->address, "machorun-service-%s", name) < (int)sizeof o->address ? KERN_SUCCESS : BOOTSTRAP_UNKNOWN_SERVICE;
}

static kern s_bootstrap_check_in(uint32_t server, const char *name, uint32_t *port) {
	struct object o;
	kern r = service(server, name, &o);
	if (r) return r;
	*port = new_port(o.address, false);
	return *port ? KERN_SUCCESS : BOOTSTRAP_NAME_IN_USE;
}

static kern s_bootstrap_look_up(uint32_t server, const char *name, uint32_t *port) {
	struct object o;
	kern r = service(server, name, &o);
	if (r) return r;
	socklen_t size;
	struct sockaddr_un a = socket_name(o.address, &size);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), there = connect(fd, (void *)&a, size);
	close(fd);
	if (there < 0) return BOOTSTRAP_UNKNOWN_SERVICE;
	*port = add_send(&o);
	return KERN_SUCCESS;
}

// Exceptions.

static kern s_task_set_exception_ports(uint32_t task, uint32_t mask, uint32_t port, uint32_t behavior, uint32_t flavor) {
	struct object o, p = {0};
	if (port && !object_of(port, PORT, PORT, &p)) return KERN_INVALID_RIGHT;
	struct shared *s = target(task, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	for (size_t i = 0; i < COUNT(s->ports); i++)
		if (mask >> i & 1) {
			s->ports[i] = (struct exception_port){.behavior = behavior, .flavor = flavor};
			memcpy(s->ports[i].address, p.address, sizeof p.address);
		}
	close_task(s);
	return KERN_SUCCESS;
}

// Exception types with the same handler share one entry, as in XNU.
static kern s_task_get_exception_ports(uint32_t task, uint32_t mask, uint32_t *masks, uint32_t *count, uint32_t *ports, uint32_t *behaviors, uint32_t *flavors) {
	struct object o;
	struct shared *s = target(task, &o);
	if (!s) return KERN_INVALID_ARGUMENT;
	uint32_t n = 0;
	for (size_t i = 1; i < COUNT(s->ports); i++) {
		if (!(mask >> i & 1)) continue;
		uint32_t j = 0, room = *count;
		const struct exception_port *p = &s->ports[i];
		while (j < n && memcmp(&s->ports[__builtin_ctz(masks[j])], p, sizeof *p)) j++;
		if (j == n) {
			if (n == room) break;
			masks[n] = 0, behaviors[n] = p->behavior, flavors[n] = p->flavor;
			struct object handler = {.kind = p->address[0] ? PORT : FREE};
			memcpy(handler.address, p->address, sizeof handler.address);
			ports[n++] = handler.kind == FREE ? 0 : add_send(&handler);
		}
		masks[j] |= 1u << i;
	}
	*count = n;
	close_task(s);
	return KERN_SUCCESS;
}

bool raise_exception(uint32_t type, uint64_t code, uint64_t subcode, const ucontext_t *u) {
	struct exception_port p = shared->ports[type];
	struct thread *t = own_thread();
	if (!p.address[0] || !t) return false;
	uint32_t behavior = p.behavior & 0xff;
	if (!(p.behavior & COMPLEX)) return false; // 32-bit codes are not supported
	struct envelope v = {.uid = getuid(), .gid = getgid(), .pid = getpid(), .reply = {.kind = PORT}, .reply_type = 18};
	new_address(v.reply.address);
	int fd = bound(v.reply.address);
	if (fd < 0) return false;

	// The handler reads these registers while the thread waits here.
	if (u) get_state(u, t);
	else get_entry_state(t);
	t->faulted = true;

	// Not on the stack: Go's signal stack has only 32 KiB.
	struct {
		uint8_t m[4096], answer[sizeof(struct envelope) + MAX_MESSAGE];
	} *room = mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED) fatal("an exception message: %s", strerror(errno));
	uint8_t *m = room->m, *answer = room->answer, *at = m + 24;
	bool ports = behavior == 1 || behavior == 3, token = behavior == 4 || behavior == 5, state = behavior == 2 || behavior == 3 || behavior == 5;
	uint32_t id = behavior == 4 ? 2408 : behavior == 5 ? 2410 : 2404 + behavior;
#define ADD(type, value) (*(type *)at = (value), at += sizeof(type))
	if (ports) {
		v.rights[v.count] = (struct object){.kind = THREAD, .pid = getpid(), .tid = gettid()};
		v.types[v.count++] = 17;
	}
	if (ports || token) {
		v.rights[v.count] = own_task();
		v.types[v.count++] = 17;
		ADD(uint32_t, v.count);
		at += 12 * v.count; // the receiver fills all fields of the descriptors
	}
	ADD(uint32_t, 0), ADD(uint32_t, 1); // NDR
	if (token) ADD(uint64_t, gettid());
	ADD(uint32_t, type), ADD(uint32_t, 2);
	memcpy(at, &code, 8), at += 8;
	memcpy(at, &subcode, 8), at += 8;
	if (state) {
		ADD(uint32_t, p.flavor), ADD(uint32_t, STATE_WORDS);
		memcpy(at, t->state, sizeof t->state), at += sizeof t->state;
	}
	*(struct header *)m = (struct header){.bits = v.count ? COMPLEX : 0, .size = v.size = at - m, .id = id};
	bool handled = false;
	if (!transmit(p.address, &v, m, 1000)) {
		ssize_t n;
		do n = recv(fd, answer, sizeof room->answer, 0);
		while (n < 0 && errno == EINTR);
		const uint8_t *reply = answer + sizeof v;
		handled = n >= (ssize_t)sizeof v + 36 && *(uint32_t *)(reply + 20) == id + 100 && *(kern *)(reply + 32) == KERN_SUCCESS;
	}
	munmap(room, sizeof *room);
	close(fd);
	t->faulted = false;
	return handled;
}

// Traps.

long mach_trap(long number, const uint64_t a[6]) {
	switch (number) {
	case 10: return s_mach_vm_allocate(a[0], (void *)a[1], a[2], a[3]);
	case 12: return s_mach_vm_deallocate(a[0], a[1], a[2]);
	case 14: return s_mach_vm_protect(a[0], a[1], a[2], a[3], a[4]);
	case 16: return s_mach_port_allocate(a[0], a[1], (void *)a[2]);
	case 18: return s_mach_port_deallocate(a[0], a[1]);
	case 19: return s_mach_port_mod_refs(a[0], a[1], a[2], a[3]);
	case 21: return s_mach_port_insert_right(a[0], a[1], a[2], a[3]);
	case 22: return s_mach_port_insert_member(a[0], a[1], a[2]);
	case 26: return s_mach_reply_port();
	case 27: return s_mach_thread_self();
	case 28: return s_mach_task_self();
	case 29: return s_mach_host_self();
	case 45: return s_task_for_pid(a[0], a[1], (void *)a[2]);
	case 46: return s_pid_for_task(a[0], (void *)a[1]);
	}
	return KERN_NOT_SUPPORTED;
}

const struct import kernel_imports[] = {
	S(bootstrap_check_in), S(bootstrap_look_up), S(host_info), S(mach_msg), S(mach_msg_destroy), S(mach_port_get_refs), S(mach_vm_read_overwrite),
	S(mach_vm_region_recurse), S(task_get_exception_ports), S(task_get_special_port), S(task_identity_token_get_task_port),
	S(task_info), S(task_resume), S(task_set_exception_ports), S(task_suspend), S(task_threads), S(thread_get_state),
	S(thread_info), S(thread_resume), S(thread_suspend),
	{0},
};
