// Package hook holds a crashing thread of the calling process still while another process looks at it.
//
// Windows calls a process's handlers of exceptions on the thread that faulted. Those of this package are assembly that
// calls no Go: the thread may be one that the Go runtime does not know, may be in the middle of the runtime, or have next
// to no stack left. The first thread whose exception is fatal writes where the exception is into memory shared with the
// other process, signals an event, and waits until the other process signals that it is done or has ended. Threads that
// fault meanwhile wait too. Then the exception takes its course, so that the process ends as it would have without the
// hooks.
//
// Which exceptions are fatal:
//
//   - The unhandled exception filter, which Windows asks last, takes all. The filter that was there before is called after it.
//   - The vectored handler, which Windows asks first, takes only what never reaches the filter: STATUS_STACK_OVERFLOW, which
//     leaves too little stack to get there, and STATUS_HEAP_CORRUPTION. Whatever else it sees may be handled yet:
//     IsBadReadPtr and its like work by faults.
//   - The vectored continue handler takes what Go's own last one would end the program for: exceptions outside of Go code
//     that no frame has handled. It stands before Go's.
//   - Handlers of the C runtime libraries that are loaded: SIGABRT, invalid parameter, pure virtual call. No exception is
//     raised for these, so one is made.
//
// Faults in Go code pass: the runtime makes panics of them. What ends a process without asking anyone can't be held:
// TerminateProcess, __fastfail, RaiseFailFastException. Package wer captures the last two through Windows Error Reporting.
package hook
