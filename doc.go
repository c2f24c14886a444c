// Package minidump writes minidumps: the small crash files that minidump-stackwalk, lldb, Breakpad, Sentry, Socorro and
// WinDbg read. It is pure Go without cgo, so one static binary runs on any Linux. It dumps
//
//   - another live process, which continues afterwards ([NewWriter]),
//   - an ELF core file, on any Unix or Windows ([OpenCoreFile]),
//   - a program that it runs itself, at the moment that program crashes (package [minidump/run]).
//
// A [Writer] reserves all the memory it needs when it is created. [Writer.Dump] then allocates nothing from the Go
// heap, and the target is stopped only while its registers and stacks are read:
//
//	w, err := minidump.NewWriter(pid, minidump.Options{Limit: 1 << 20})
//	if err != nil {
//		return err
//	}
//	defer w.Close()
//	res, err := w.DumpFile("crash.dmp")
//
// Pieces that cannot be read do not fail a dump: they are left out and listed, in [Result.SoftErrors] and in the dump
// itself.
//
// # What a dump contains
//
// Threads with registers, names and stacks; the loaded modules with their build ids; the memory map; the reason for a
// crash; and the facts in /proc about the process and the machine. [Options] chooses how much memory goes in, bounds
// the size of the file, leaves out data that must not leave the machine, and adds memory, annotations and streams of
// the application. docs/format.md in the source tree describes each stream.
//
// # Go programs
//
// The stack of a goroutine is in the heap, so a writer that copies a thread's stack to the end of its mapping copies
// the heap. This package reads the bounds of the stack from the Go runtime's own records.
//
// # Faulting instructions
//
// If the kernel does not report the address of a fault, it is computed from the faulting instruction. That requires the
// import of minidump/context/insn, for its side effect. It is a separate package because the disassemblers are larger
// than the rest.
package minidump
