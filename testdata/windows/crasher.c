// crasher KIND: crashes. Its filter prints where the exception lies, and waits until standard input ends.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static LONG WINAPI filter(EXCEPTION_POINTERS *p) {
	char line[200];
	DWORD n;
	int len = snprintf(line, sizeof line, "%lu %lu %p %lx %p\n", GetCurrentProcessId(), GetCurrentThreadId(), (void *)p,
		p->ExceptionRecord->ExceptionCode, p->ExceptionRecord->ExceptionAddress);
	WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), line, len, &n, NULL);
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
	SetUnhandledExceptionFilter(filter);
	for (int i = 0; i < 3; i++)
		CreateThread(NULL, 0, worker, NULL, 0, NULL);
	Sleep(100);
	crash_here(argc > 1 ? argv[1][0] : 'a');
	return 0;
}
