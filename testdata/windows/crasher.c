// crasher KIND [PIPE]: crashes. Its filter prints the address of the exception and waits until standard input ends, or it requests
// a dump from the server at PIPE, as clients of minidumper do at a socket, and waits for the answer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const char *pipe_name;

// ask sends a DumpRequest of minidumper (0.11, src/ipc.rs), and returns 0 when it is acknowledged.
static int ask(EXCEPTION_POINTERS *p) {
	unsigned char b[8 + 8 + 12] = {0};
	DWORD word = sizeof p, pid = GetCurrentProcessId(), tid = GetCurrentThreadId(), n, size = word + 12;
	HANDLE h = CreateFileA(pipe_name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
	if (h == INVALID_HANDLE_VALUE)
		return 1;
	memcpy(b + 4, &size, 4);
	memcpy(b + 8, &p, word);
	memcpy(b + 8 + word, &pid, 4);
	memcpy(b + 12 + word, &tid, 4);
	memcpy(b + 16 + word, &p->ExceptionRecord->ExceptionCode, 4);
	if (!WriteFile(h, b, 8 + size, &n, NULL) || !ReadFile(h, b, 8, &n, NULL) || n != 8)
		return 2;
	return b[0] != 1;
}

static LONG WINAPI filter(EXCEPTION_POINTERS *p) {
	char line[200];
	DWORD n;
	int len = snprintf(line, sizeof line, "%lu %lu %p %lx %p\n", GetCurrentProcessId(), GetCurrentThreadId(), (void *)p,
		p->ExceptionRecord->ExceptionCode, p->ExceptionRecord->ExceptionAddress);
	WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), line, len, &n, NULL);
	if (pipe_name) {
		int failed = ask(p);
		if (failed)
			TerminateProcess(GetCurrentProcess(), failed);
		return EXCEPTION_EXECUTE_HANDLER;
	}
	ReadFile(GetStdHandle(STD_INPUT_HANDLE), line, 1, &n, NULL);
	return EXCEPTION_EXECUTE_HANDLER;
}

static volatile int zero;
static volatile int *volatile nowhere = (int *)0x1230;

static __attribute__((noinline)) int recurse(volatile char *above) {
	volatile char room[4096];
	room[0] = above ? above[0] : 1;
	return recurse(room) + room[0];
}

static __attribute__((noinline)) void crash_here(char kind) {
	switch (kind) {
	case 'a': *nowhere = 1; break;
	case 's': recurse(NULL); break;
	case 'u': __asm__ volatile("ud2"); break;
	case 'd': __asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; idivl %0" : : "r"(zero) : "eax", "edx"); break;
	case 'b': __asm__ volatile("int3"); break;
	case 'r': RaiseException(0xe0001234, 0, 0, NULL); break;
	}
}

static DWORD WINAPI worker(void *p) {
	Sleep(INFINITE);
	return 0;
}

int main(int argc, char **argv) {
	pipe_name = argc > 2 ? argv[2] : NULL;
	SetUnhandledExceptionFilter(filter);
	for (int i = 0; i < 3; i++)
		CreateThread(NULL, 0, worker, NULL, 0, NULL);
	Sleep(100);
	crash_here(argc > 1 ? argv[1][0] : 'a');
	return 0;
}
