// Package corefile is an ELF core file as the source of snapshots, on any operating system.
//
// [New] opens a core file that is an io.ReaderAt; [OpenPipe] reads one that the kernel writes into a pipe. The root
// package makes both into Writers. Package linux uses the [Notes] alone, for a process that is dumping core. Files:
// segments.go is the memory in the file, notes.go and threads.go the notes, maps.go and images.go the memory map,
// arguments.go the command line, pipe.go the pipe, source.go the rest of snapshot.Source.
//
// The file is never read whole, and nothing in it is trusted: every count and size has a bound, and damage costs the
// part that is damaged. An error from New wraps ErrNotCore, ErrNoThread, ErrCompressed or snapshot.ErrUnsupported. A [Source] holds
// an index of segments and notes in arenas until Close, and scratch buffers from the Go heap. Reads block as the
// io.ReaderAt does.
//
// Layouts: core(5), and of the Linux kernel fs/binfmt_elf.c, fs/compat_binfmt_elf.c and include/uapi/linux/elfcore.h.
// gdb's gcore writes the same notes, with differences that are named where they matter.
package corefile
