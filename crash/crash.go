// Package crash makes dumps of the calling Go program when it crashes.
//
//	func main() {
//		if err := crash.Start(crash.Options{Dir: "crashes"}); err != nil {
//			log.Print(err)
//		}
//		…
//	}
//
// Start starts the program once more, as a monitor that sleeps until the Go runtime reports a crash: a panic that nobody recovers,
// a fatal error, or a fatal signal. The runtime writes its report to a socket that has room for only one write. So the program
// blocks in the first words of its report, with all threads and goroutines as they were, while the monitor writes the dump. Then
// the monitor reads the rest of the report and adds it to the dump as TextStream, and the program ends as it would without a
// monitor. Nothing is traced, and a healthy program has no overhead.
//
// docs/crash.md lists which kinds of crash are detected and which are not.
package crash

import (
	"errors"

	"minidump"
	"minidump/stream"
)

// TextStream is the type of the stream that holds the runtime's report: UTF-8 text, as on standard error, except that the
// runtime omits the line "fatal error: …". It has the first 64 KiB of a long report.
const TextStream stream.Type = 0x676f0010

// Keys of the annotations that the monitor adds.
const (
	KeyReport = "go.crash.report" // the report up to the first goroutine, at most 512 bytes; for a fatal error its text
	KeyKind   = "go.crash.kind"   // "panic", "fatal error", "signal", or on Windows and macOS "exception"
	// KeyRegisters says which registers of the crashed thread are in the dump. "fault": all registers at the fault, from the
	// signal frame. "unwound", without a signal frame: program counter, stack pointer, frame pointer and link register at the
	// fault, found by unwinding, and zeros for the others. "report": those in the runtime's function that reports the crash.
	KeyRegisters = "go.crash.registers"
)

// ErrUnsupported is the error of Start where there is no monitor for this system.
var ErrUnsupported = minidump.ErrUnsupported

// ErrStarted is the error of a second call of Start.
var ErrStarted = errors.New("crash: the monitor is already running")

// ErrWERModule is the error of Start if the library of Options.WERModule can't be used. The monitor runs without it.
var ErrWERModule = errors.New("crash: fail-fast exceptions will not be captured")

// Options of Start.
type Options struct {
	// Dir is the folder of the dumps; it is created if it does not exist. "" is the folder minidumps in the user's cache
	// folder.
	Dir string
	// Keep is how many dumps are kept in Dir: the monitor removes the oldest. 0 keeps all.
	Keep int
	// Annotations go into every dump. SetAnnotation adds to them later.
	Annotations map[string]string
	// Dump are the options of the dump. The monitor sets Thread and Crash, and adds annotations.
	Dump minidump.Options
	// RaiseTraceback makes the runtime write a report even if GOTRACEBACK=none is set (debug.SetTraceback("single")). With none
	// the runtime writes nothing about a fatal error such as concurrent map writes, so the monitor cannot detect it.
	RaiseTraceback bool
	// Debugger makes the monitor on Windows attach to the program as a debugger, so that it also detects fast fails: int 29h, of /GS
	// for example, and RaiseFailFastException. The program is then slower when it raises exceptions, starts threads or loads
	// libraries, and no other debugger can attach to it.
	Debugger bool
	// WERModule is the path of a library that InstallWERModule has written. When the program fails fast (int 29h,
	// RaiseFailFastException, heap corruption), Windows Error Reporting loads the library, which notifies the monitor. Otherwise
	// it costs the program nothing. It is ignored on systems other than Windows.
	WERModule string
	// OnDump is called in the monitor, which is another process, after a dump is complete. The monitor ends after OnDump
	// returns.
	OnDump func(path string)
	// OnEnd is called in the monitor after the program has ended without a report, up to some seconds later.
	OnEnd func(End)
}
