// A program that crashes and has a server dump it first, as Breakpad's and Crashpad's clients do. Written after their protocols;
// none of their code is in it.
//
//	crashclient PROTOCOL SOCKET HOW [thread]
//
// PROTOCOL is breakpad, crashpad (the only client of its handler) or crashpad-shared. SOCKET is the number of an inherited
// socket, or the path of one to connect to. HOW is segv (a write to 0x45), abort, fpe, or request (a dump without a crash). With
// thread a second thread does it. The program ends with status 0 once it was answered, 3 if the answer was that there is no dump,
// 4 if none came in time.
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

static int crashpad(siginfo_t *info, ucontext_t *uc) {
	int here;
	information.siginfo = (uintptr_t)info;
	information.context = (uintptr_t)uc;
	information.tid = syscall(SYS_gettid);
	request.type = 1;
	request.stack = (uintptr_t)&here;
	request.information = (uintptr_t)&information;
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
	if (*end) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		strncpy(a.sun_path, argv[2], sizeof a.sun_path - 1);
		sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (connect(sock, (struct sockaddr *)&a, sizeof a))
			return 9;
	}
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
