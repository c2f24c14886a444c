// werfault PID MODULE: takes the role of WerFault.exe, because Wine's Windows Error Reporting calls no module. It attaches to the
// process as a debugger and prints "attached". At an exception that no handler handles it fills in a
// WER_RUNTIME_EXCEPTION_INFORMATION, finds the address that the process has registered, loads the module, calls it, and prints the
// result, whether the exception is claimed, the thread, and the exception's code and address.
#define _WIN32_WINNT 0x0601
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

// What werapi.h of mingw lacks.
#define WER_MAX_PREFERRED_MODULES_BUFFER 256
typedef HANDLE HREPORT;
typedef void *PWER_SUBMIT_RESULT;
#include <werapi.h>

// registered finds the block of package internal/windows/wer in the shared memory of the process. (Windows passes its address to
// WerFault.exe.)
static void *registered(HANDLE process) {
	static const char magic[] = "dmpwerre";
	MEMORY_BASIC_INFORMATION m;
	for (char *at = NULL; VirtualQueryEx(process, at, &m, sizeof m); at = (char *)m.BaseAddress + m.RegionSize) {
		char page[4096];
		SIZE_T n;
		if (m.State != MEM_COMMIT || m.Type != MEM_MAPPED || m.Protect != PAGE_READWRITE ||
			!ReadProcessMemory(process, m.BaseAddress, page, sizeof page, &n))
			continue;
		for (size_t i = 0; i + 8 <= n; i += 8)
			if (!memcmp(page + i, magic, 8))
				return (char *)m.BaseAddress + i;
	}
	return NULL;
}

// information is the structure of Windows 10. mingw's lacks the last two fields; on amd64 it has padding in their place.
typedef union {
	WER_RUNTIME_EXCEPTION_INFORMATION known;
	struct {
		char before[offsetof(WER_RUNTIME_EXCEPTION_INFORMATION, pwszReportId) + sizeof(PCWSTR)];
		BOOL bIsFatal;
		DWORD dwReserved;
	} rest;
} information;

// call calls the module.
static int call(const char *path, DWORD pid, DWORD tid, const EXCEPTION_RECORD *record) {
	information all = {.known = {.dwSize = sizeof all, .exceptionRecord = *record, .pwszReportId = L"report"}};
	BOOL claimed = TRUE;
	HMODULE module = LoadLibraryA(path);
	PFN_WER_RUNTIME_EXCEPTION_EVENT event;
	all.rest.bIsFatal = TRUE;
	all.known.hProcess = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid);
	all.known.hThread = OpenThread(THREAD_ALL_ACCESS, FALSE, tid);
	all.known.context.ContextFlags = CONTEXT_ALL;
	if (!module || !all.known.hProcess || !all.known.hThread || !GetThreadContext(all.known.hThread, &all.known.context)) {
		printf("not called: error %lu\n", GetLastError());
		return 1;
	}
	event = (PFN_WER_RUNTIME_EXCEPTION_EVENT)(void *)GetProcAddress(module, "OutOfProcessExceptionEventCallback");
	HRESULT result = event(registered(all.known.hProcess), &all.known, &claimed, NULL, NULL, NULL);
	printf("%lx %d %lu %lx %p\n", result, claimed, tid, record->ExceptionCode, record->ExceptionAddress);
	return 0;
}

int main(int argc, char **argv) {
	DWORD pid = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	int called = 2;
	DEBUG_EVENT e;
	if (!pid || !DebugActiveProcess(pid))
		return 3;
	puts("attached");
	fflush(stdout);
	while (WaitForDebugEvent(&e, INFINITE)) {
		DWORD answer = DBG_CONTINUE;
		if (e.dwDebugEventCode == EXCEPTION_DEBUG_EVENT && e.u.Exception.ExceptionRecord.ExceptionCode != EXCEPTION_BREAKPOINT) {
			answer = DBG_EXCEPTION_NOT_HANDLED;
			if (!e.u.Exception.dwFirstChance)
				called = call(argv[2], pid, e.dwThreadId, &e.u.Exception.ExceptionRecord);
		}
		ContinueDebugEvent(pid, e.dwThreadId, answer);
		if (e.dwDebugEventCode == EXIT_PROCESS_DEBUG_EVENT)
			break;
	}
	return called;
}
