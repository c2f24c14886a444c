// A program that crashes and has a server dump it first, as Breakpad's and Crashpad's clients do. Written after their protocols;
// none of their code is in it.
//
//	crashclient PROTOCOL SOCKET HOW [thread]
//
// PROTOCOL is breakpad, crashpad (the only client of its handler), crashpad-shared, or crashpad-start: then it starts the program
// HANDLER of the environment when it crashes, and SOCKET is not used. Otherwise SOCKET is the number of an inherited
// socket, or the path of one to connect to. HOW is segv (a write to 0x45), abort, fpe, or request (a dump without a crash). With
// thread a second thread does it. The program ends with status 0 once it was answered, 3 if the answer was that there is no dump,
// 4 if none came in time.
//
// The program has a CrashpadInfo, found by a note. If the environment has CRASHPAD_INFO it is filled in: annotations of both kinds,
// a page of extra memory, a stream. "disabled" disables the handler; "sanitized" allows one annotation of each kind and no
// memory; "foreign" wants a dump only if the crash refers to a module that it does not refer to, and "own" to this program.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

static int sock;
static const char *protocol, *how;

// What Breakpad's client sends.
static struct {
	siginfo_t siginfo;
	pid_t tid;
	ucontext_t context;
#if defined(__x86_64__) || defined(__i386__)
	struct _libc_fpstate floats;
#elif defined(__aarch64__)
	struct fpsimd_context floats;
#endif
} blob;

static int breakpad(siginfo_t *info, ucontext_t *uc) {
	blob.siginfo = *info;
	blob.tid = syscall(SYS_gettid);
	blob.context = *uc;
#if defined(__x86_64__) || defined(__i386__)
	if (uc->uc_mcontext.fpregs)
		memcpy(&blob.floats, uc->uc_mcontext.fpregs, sizeof blob.floats);
#elif defined(__aarch64__)
	memcpy(&blob.floats, uc->uc_mcontext.__reserved, sizeof blob.floats);
#endif
	int fds[2];
	if (pipe(fds))
		return 5;
	struct iovec iov = {&blob, sizeof blob};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fds[1], sizeof(int));
	ssize_t n = sendmsg(sock, &m, MSG_NOSIGNAL);
	close(fds[1]);
	if (n < 0)
		return 6;
	char b;
	alarm(20);
	return read(fds[0], &b, 1) == 0 ? 0 : 7;
}

// What Crashpad's client has in its memory, and sends.
static struct __attribute__((packed)) {
	uint64_t siginfo, context;
	int32_t tid;
} information;

static struct __attribute__((packed)) {
	int32_t version;
	uint32_t type;
	uint64_t stack, information, sanitization, crash_loop;
} request = {.version = 1};

// As client/crashpad_info.h, annotation.h, simple_string_dictionary.h, simple_address_range_bag.h and sanitization_information.h
// have them.
struct node {
	struct node *next;
	const char *name;
	void *value;
	uint32_t size;
	uint16_t type;
	uint8_t guard, spin;
};
static struct {
	struct node *tail_pointer, head, tail;
} objects;
static char version[] = "1.2.3", number[] = {7, 0, 9};
static struct node version_node = {0, "version", version, 5, 1, 0, 0}, number_node = {0, "number", number, 3, 0x8001, 0, 0},
	unset_node = {0, "unset", version, 0, 1, 0, 0};
static struct {
	char key[256], value[256];
} simple[64];
static struct {
	uint64_t base, size;
} bag[64];
static struct {
	uint64_t next, base, size;
	uint32_t type;
} stream;
static char extra[4096] = "extra memory of this client", stream_data[] = "a stream of this client";
__attribute__((used)) static struct {
	uint32_t signature, size, version, cap, padding;
	uint8_t handler, forwarding, gather, padding_1;
	void *extra, *simple, *streams, *objects;
} crashpad_info = {.signature = 0x43506164, .version = 1};

__asm__(".section .note.crashpad.info,\"a\",%note\n"
	".balign 4\n"
	".long 9, 2f - 1f, 0x4f464e49\n"
	".asciz \"Crashpad\"\n"
	".balign 4\n"
#if defined(__LP64__)
	"1: .quad crashpad_info - 1b\n"
#else
	"1: .long crashpad_info - 1b\n"
#endif
	"2: .text\n");

static const char *allowed[] = {"version", "product", "ver", 0};
static struct __attribute__((packed)) {
	uint64_t annotations, module, ranges;
	uint8_t stacks;
} sanitization;

static void fill_info(const char *kind) {
	crashpad_info.size = sizeof crashpad_info;
	if (!kind)
		return;
	objects.tail_pointer = &objects.tail;
	objects.head.next = &version_node;
	version_node.next = &unset_node;
	unset_node.next = &number_node;
	number_node.next = &objects.tail;
	strcpy(simple[3].key, "product");
	strcpy(simple[3].value, "a client");
	strcpy(simple[63].key, "last");
	strcpy(simple[63].value, "of all");
	bag[5].base = (uintptr_t)extra;
	bag[5].size = sizeof extra;
	stream.base = (uintptr_t)stream_data;
	stream.size = sizeof stream_data;
	stream.type = 0x12345678;
	crashpad_info.extra = bag;
	crashpad_info.simple = simple;
	crashpad_info.streams = &stream;
	crashpad_info.objects = &objects;
	crashpad_info.handler = strcmp(kind, "disabled") ? 0 : 2;
	if (!strcmp(kind, "sanitized") || !strcmp(kind, "foreign") || !strcmp(kind, "own")) {
		sanitization.annotations = (uintptr_t)allowed;
		sanitization.module = !strcmp(kind, "foreign") ? 0x1000 : !strcmp(kind, "own") ? (uintptr_t)&crashpad_info : 0;
		sanitization.stacks = 1;
		request.sanitization = (uintptr_t)&sanitization;
	}
}

// start_handler does what Crashpad's LaunchAtCrashHandler does.
static int start_handler(void) {
	static char trace[64], sanitize[64];
	snprintf(trace, sizeof trace, "--trace-parent-with-exception=0x%llx", (unsigned long long)request.information);
	snprintf(sanitize, sizeof sanitize, "--sanitization-information=0x%llx", (unsigned long long)request.sanitization);
	char *argv[] = {getenv("HANDLER"), "--database=db", "--annotation=ver=1.2", trace, request.sanitization ? sanitize : 0, 0};
	pid_t pid = fork();
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	prctl(PR_SET_PTRACER, pid, 0, 0, 0);
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 7;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

static int crashpad(siginfo_t *info, ucontext_t *uc) {
	int here;
	information.siginfo = (uintptr_t)info;
	information.context = (uintptr_t)uc;
	information.tid = syscall(SYS_gettid);
	request.type = 1;
	request.stack = (uintptr_t)&here;
	request.information = (uintptr_t)&information;
	if (!strcmp(protocol, "crashpad-start"))
		return start_handler();
	int shared = !strcmp(protocol, "crashpad-shared");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	if (shared)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (send(sock, &request, sizeof request, MSG_NOSIGNAL) != sizeof request)
		return 6;
	if (shared) {
		struct timespec patience = {20, 0};
		int got;
		do // being stopped by ptrace interrupts it
			got = sigtimedwait(&set, NULL, &patience);
		while (got < 0 && errno == EINTR);
		return got == SIGCONT ? 0 : 4;
	}
	alarm(20);
	for (;;) {
		struct {
			uint32_t type;
			int32_t pid;
		} answer;
		if (recv(sock, &answer, sizeof answer, 0) != sizeof answer)
			return 7;
		if (answer.type == 2) {
			int32_t failed = prctl(PR_SET_PTRACER, answer.pid, 0, 0, 0) ? errno : 0;
			send(sock, &failed, sizeof failed, MSG_NOSIGNAL);
			continue;
		}
		return answer.type == 3 ? 0 : answer.type == 4 ? 3 : 8;
	}
}

static int report(siginfo_t *info, ucontext_t *uc) {
	return !strcmp(protocol, "breakpad") ? breakpad(info, uc) : crashpad(info, uc);
}

static void handler(int signo, siginfo_t *info, void *uc) {
	(void)signo;
	_exit(report(info, uc));
}

static __attribute__((noinline)) int crash_here(void) {
	if (!strcmp(how, "segv"))
		*(volatile char *)0x45 = 1;
	else if (!strcmp(how, "abort"))
		abort();
	else if (!strcmp(how, "fpe"))
		raise(SIGFPE);
	siginfo_t info = {0};
	ucontext_t uc;
	getcontext(&uc);
	info.si_signo = -1;
	return report(&info, &uc);
}

static void *run(void *unused) {
	(void)unused;
	_exit(crash_here());
}

int main(int argc, char **argv) {
	if (argc < 4)
		return 2;
	protocol = argv[1];
	how = argv[3];
	char *end;
	sock = strtol(argv[2], &end, 10);
	if (*end && strcmp(protocol, "crashpad-start")) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		strncpy(a.sun_path, argv[2], sizeof a.sun_path - 1);
		sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (connect(sock, (struct sockaddr *)&a, sizeof a))
			return 9;
	}
	fill_info(getenv("CRASHPAD_INFO"));
	if (!strcmp(protocol, "crashpad")) { // who is the handler?
		char answer[64];
		int on = 1;
		setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
		if (send(sock, &request, sizeof request, MSG_NOSIGNAL) < 0 || recv(sock, answer, sizeof answer, 0) != 8)
			return 10;
	}
	if (!strcmp(protocol, "breakpad") || !strcmp(protocol, "crashpad-shared"))
		prctl(PR_SET_PTRACER, -1L, 0, 0, 0);
	static char stack[64 << 10];
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
	sigaltstack(&alt, NULL);
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGTRAP};
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &sa, NULL);
	if (argc > 4) {
		pthread_t t;
		pthread_create(&t, NULL, run, NULL);
		pthread_join(t, NULL);
	}
	return crash_here();
}
