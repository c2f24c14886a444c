// Package hook makes a crashing thread of the calling process wait while another process reads the crash.
//
// Windows calls a process's exception handlers on the thread that faulted. The handlers of this package are assembly that
// calls no Go code: the thread may be unknown to the Go runtime, may be in the middle of the runtime, or may have almost no
// stack left. The first thread with a fatal exception writes the address of its exception pointers to memory shared with the
// other process, signals an event, and waits until the other process signals that it is done, or ends, or a timeout expires.
// Threads that fault meanwhile wait too. Then the exception is passed on, so the process ends as it would without the hooks.
//
// Which exceptions are fatal:
//
//   - For the unhandled exception filter, which Windows calls last, all are. The previous filter is called after it.
//   - For the vectored handler, which Windows calls first, only those that never reach the filter: STATUS_STACK_OVERFLOW, which
//     leaves too little stack for that, and STATUS_HEAP_CORRUPTION. All others may still be handled: functions like
//     IsBadReadPtr rely on faults.
//   - For the vectored continue handler, those for which Go's last continue handler would end the program: exceptions outside
//     of Go code that no frame has handled. This handler is called before Go's.
//   - For the handlers of the loaded C runtime libraries, all: SIGABRT, invalid parameter, pure virtual call. Windows raises no
//     exception for these, so the handler makes one up.
//
// Faults in Go code are passed on: the runtime turns them into panics. What ends a process without calling a handler can't be
// reported: TerminateProcess, __fastfail, RaiseFailFastException. Package wer reports the last two by other means.
package hook
