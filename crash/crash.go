// Package crash makes dumps of the calling Go program when it crashes.
//
//	func main() {
//		if err := crash.Start(crash.Options{Dir: "crashes"}); err != nil {
//			log.Print(err)
//		}
//		…
//	}
//
// Start starts the program once more, as a monitor that sleeps until the Go runtime reports a crash: a panic that nobody
// recovers, a fatal error, or a fatal signal. The runtime's report goes through a socket that is full except for one write. So the
// program stands still in the first words of its report, with all threads and goroutines as they were, while
// the monitor writes the dump. Then the monitor reads the report to its end, adds it to the dump as TextStream, and the program
// ends as it would have without it. Nothing is traced, and a healthy program pays nothing.
//
// docs/crash.md has what kinds of crash are seen and what is not.
package crash

import (
	"errors"

	"minidump"
	"minidump/stream"
)

// TextStream is the type of the stream that holds the runtime's report: UTF-8 text, as it would be on standard error, except
// that the runtime leaves the line "fatal error: …" out. Of a long report it holds the first 64 KiB.
const TextStream stream.Type = 0x676f0010

// Keys of the annotations that the monitor adds.
const (
	KeyReport = "go.crash.report" // the report up to the first goroutine, at most 512 bytes; of a fatal error its text
	KeyKind   = "go.crash.kind"   // "panic", "fatal error", "signal", or on Windows and macOS "exception"
	// KeyRegisters says which registers the crashed thread has in the dump: "fault" for all of those at the fault, from the signal
	// frame; "unwound" if that is gone, for program counter, stack pointer, frame pointer and link register at the fault, found by
	// unwinding, and zeros for the others; "report" for those in the runtime's report of the crash, which the thread had come to.
	KeyRegisters = "go.crash.registers"
)

// ErrUnsupported is the error of Start where there is no monitor for this system.
var ErrUnsupported = minidump.ErrUnsupported

// ErrStarted is the error of a second Start.
var ErrStarted = errors.New("crash: the monitor was started already")

// ErrWERModule is the error of Start for a module of Options.WERModule that can't be used. The monitor runs without it.
var ErrWERModule = errors.New("crash: fail fast is not captured")

// Options of Start.
type Options struct {
	// Dir is the folder of the dumps; it is made if it is missing. "" is the folder minidumps in the user's cache folder.
	Dir string
	// Keep is how many dumps stay in Dir: the monitor removes the oldest. 0 keeps all.
	Keep int
	// Annotations go into every dump. SetAnnotation adds to them later.
	Annotations map[string]string
	// Dump are the options of the dump. Thread and Crash are the monitor's to set; annotations are added to.
	Dump minidump.Options
	// RaiseTraceback makes the runtime write a report where GOTRACEBACK=none is set (debug.SetTraceback("single")). With none it
	// writes no byte about a fatal error such as concurrent map writes, so that the monitor sees nothing.
	RaiseTraceback bool
	// Debugger makes the monitor of Windows attach to the program as a debugger, so that it sees fast fails too: int 29h, of /GS for
	// example, and RaiseFailFastException. The program is then slower where it raises exceptions, starts threads or loads
	// libraries, and no other debugger can attach to it.
	Debugger bool
	// WERModule is the path of a library that InstallWERModule has written. Windows Error Reporting loads it when the program fails
	// fast (int 29h, RaiseFailFastException, a corrupt heap), and it reports that to the monitor. A healthy program pays nothing
	// for it. Windows only; elsewhere it has no meaning.
	WERModule string
	// OnDump is called in the monitor, which is another process, when a dump is complete. The monitor ends after it.
	OnDump func(path string)
	// OnEnd is called in the monitor when the program has ended without a report, up to some seconds later.
	OnEnd func(End)
}
