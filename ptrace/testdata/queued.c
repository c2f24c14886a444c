/* A process that sends itself real-time signals with running numbers, several queued at a time, from one thread to three
 * others, and checks in the handler that each number comes once and in order. Ends with a line of input. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 3, SIGNALS = 3 };

static volatile long received[THREADS][SIGNALS];
static volatile long bad, started;
static __thread int self;

static void handler(int sig, siginfo_t *info, void *context) {
	(void)context;
	int k = sig - SIGRTMIN;
	if (info->si_code != SI_QUEUE || info->si_pid != getpid() || info->si_value.sival_int != received[self][k])
		__atomic_add_fetch(&bad, 1, __ATOMIC_SEQ_CST);
	received[self][k]++;
}

static void *work(void *arg) {
	self = (int)(long)arg;
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	volatile long x = 0;
	for (;;)
		x++;
	return 0;
}

static long count(void) {
	long n = 0;
	for (int i = 0; i < THREADS; i++)
		for (int k = 0; k < SIGNALS; k++)
			n += received[i][k];
	return n;
}

int main(void) {
	struct sigaction act;
	memset(&act, 0, sizeof act);
	act.sa_sigaction = handler;
	act.sa_flags = SA_SIGINFO | SA_RESTART;
	sigset_t all;
	sigemptyset(&all);
	for (int k = 0; k < SIGNALS; k++)
		sigaddset(&all, SIGRTMIN + k);
	act.sa_mask = all;
	for (int k = 0; k < SIGNALS; k++)
		sigaction(SIGRTMIN + k, &act, 0);
	pthread_t threads[THREADS];
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, work, (void *)i);
	while (started != THREADS)
		usleep(100);
	printf("ready\n");
	fflush(stdout);
	long sent = 0, number[THREADS][SIGNALS] = {{0}};
	struct pollfd in = {0, POLLIN, 0};
	while (poll(&in, 1, 0) == 0) {
		if (sent - count() > 1000) { /* a long queue makes the kernel slow */
			usleep(200);
			continue;
		}
		for (int burst = 0; burst < 8; burst++)
			for (int i = 0; i < THREADS; i++)
				for (int k = 0; k < SIGNALS; k++) {
					union sigval value = {.sival_int = (int)number[i][k]};
					if (pthread_sigqueue(threads[i], SIGRTMIN + k, value) == 0) {
						number[i][k]++;
						sent++;
					}
				}
		usleep(200);
	}
	for (int tries = 0; tries < 5000 && count() != sent; tries++)
		usleep(1000);
	long got = count();
	printf("result sent %ld received %ld bad %ld\n", sent, got, bad);
	fflush(stdout);
	return 0;
}
