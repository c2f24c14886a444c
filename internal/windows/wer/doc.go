// Package wer makes and registers the module by which Windows Error Reporting reports fail-fast exceptions to the monitor of
// package crash.
//
// No handler in a process receives __fastfail (int 29h, which /GS and control flow guard use), RaiseFailFastException or heap
// corruption. Windows starts WerFault.exe for them, which loads the libraries that the process has registered by
// WerRegisterRuntimeExceptionModule, and calls their OutOfProcessExceptionEventCallback while the process is stopped. This
// package calls such a library a module. Go builds libraries only with cgo, so this package writes the file itself. The code is
// assembly of this package that uses only its arguments and imports; it is copied out of the running program.
//
// The module reads the Block of the process, writes the exception into it, signals the monitor's event and waits until the
// monitor is done or has ended, for at most a minute. It does not claim the exception: Windows then continues as it would
// without the module. Exceptions with other codes are left to package hook, so that nothing is reported twice.
//
// The process that crashed is not trusted: the module reads a fixed number of its bytes, checks a magic number, and passes
// the handles only to calls that fail if a handle is invalid.
//
// Sources: werapi.h of the Windows SDK and of mingw-w64, Microsoft's documentation of Windows Error Reporting, and, for what the
// documentation leaves open, the module of Crashpad (handler/win/wer).
package wer
