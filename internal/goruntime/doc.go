// Package goruntime reads the state of the Go runtime in another process, a core file or any other memory: which
// goroutines exist, what each does and for how long, what started it, its labels, its panic, and its frames with
// function, file and line, including inlined calls. It also finds the stacks of each thread of a Go program.
//
// It needs no symbols, no DWARF and no table of Go versions:
//
//   - The offsets of the fields of runtime.g, runtime.m and runtime.gobuf come from the target's own type descriptors,
//     which every Go program has, because the runtime allocates values of these types.
//   - runtime.pcHeader and runtime.firstmoduledata are found by their contents, and through them the function table.
//   - runtime.allgs is the slice in the BSS whose elements are all goroutines, runtime.allm the head of the longest list
//     of Ms that ends with runtime.m0.
//   - The texts of wait reasons are the array of strings that begins with "" and "GC assist marking".
//   - A running goroutine belongs to the thread whose g register or thread-local word refers to it.
//
// The work has three parts. [Program.Find] runs before the stop: what it finds stays true as long as the program runs.
// [Program.Capture] runs during the stop: it makes a bounded number of reads, most of them vectored, and does nothing else.
// [Program.Encode] runs afterwards: it unwinds the captured stacks, looks up names, and builds the stream stream.GoroutineListStream.
//
// Nothing here makes a system call, allocates from the Go heap or needs the scheduler: memory comes from a [Space] of the caller.
// Architecture and byte order are values, so a 32-bit or big-endian target can be read on any machine. Nothing that is read from
// the target is trusted: every count, length and chain is bounded, and no content of memory makes the work exceed its limits.
//
// Source of the layouts: Go's runtime (runtime2.go, symtab.go, traceback.go, symtabinl.go), internal/abi (type.go,
// symtab.go) and the linker (cmd/link/internal/ld/pcln.go, symtab.go), releases 1.21 to 1.27.
package goruntime
