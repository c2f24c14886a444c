#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c.h"

extern void goCallback(void);

// fault writes to an unmapped address. Its frame is the innermost of the crash.
__attribute__((noinline)) void fault(void) { *(volatile int *)0xbadbad0 = 1; }

__attribute__((noinline)) void aborts(void) { abort(); }

static void sleepless(int sig, siginfo_t *info, void *context) { (void)sig, (void)info, (void)context; _exit(0); }

static void *thread(void *arg) {
	const char *kind = arg;
	usleep(strstr(kind, "late") || strstr(kind, "lent") ? 2000000 : 200000);
	if (strstr(kind, "lent")) // Go keeps an M for this thread afterwards
		goCallback();
	if (strstr(kind, "abort"))
		aborts();
	if (strstr(kind, "kill"))
		pthread_kill(pthread_self(), SIGSEGV);
	if (strstr(kind, "spin"))
		for (volatile long n = 0;; n++)
			;
	if (strstr(kind, "wait"))
		for (;;)
			pause();
	fault();
	return NULL;
}

void start(const char *kind) {
	pthread_t t;
	pthread_create(&t, NULL, thread, strdup(kind));
	if (strstr(kind, "two"))
		pthread_create(&t, NULL, thread, strdup(kind));
}

// Installed before the Go runtime starts, which calls this handler for faults in C.
__attribute__((constructor)) static void early(void) {
	if (getenv("C_HANDLER")) {
		struct sigaction a;
		memset(&a, 0, sizeof a);
		a.sa_sigaction = sleepless;
		a.sa_flags = SA_SIGINFO | SA_ONSTACK;
		sigaction(SIGSEGV, &a, NULL);
	}
}
