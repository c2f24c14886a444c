// Package wer makes and registers the module by which Windows Error Reporting reports fail fast exceptions to the monitor of
// package crash.
//
// No handler in a process sees __fastfail (int 29h, and with it /GS and control flow guard), RaiseFailFastException or a heap
// that Windows finds corrupt. Windows starts WerFault.exe for them, which loads the libraries that the process has registered by
// WerRegisterRuntimeExceptionModule, and calls their OutOfProcessExceptionEventCallback while the process stands still. Such
// a library is a module here. Go makes libraries with cgo only, so this package writes the file itself: its code is assembly of
// this package that uses nothing but its arguments and imports, and is copied out of the running program.
//
// The module reads the Block of the process, writes the exception into it, signals the monitor's event and waits until the
// monitor is done or has ended, for a minute at most. It does not claim the exception: Windows then goes on as it would have
// without the module. Exceptions of other codes are left to the hooks of package hook, so that nothing is reported twice.
//
// The process that crashed is not trusted: the module reads a fixed number of bytes of it, checks a magic number, and uses the
// handles only by way of calls that fail for wrong ones.
//
// Sources: werapi.h of the Windows SDK and of mingw-w64, Microsoft's documentation of Windows Error Reporting, and for what
// that leaves open the module of Crashpad (handler/win/wer).
package wer
