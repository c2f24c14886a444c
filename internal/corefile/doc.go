// Package corefile makes an ELF core file a source of snapshots, on any operating system.
//
// [New] opens a core file that is an io.ReaderAt; [OpenPipe] reads one that the kernel writes into a pipe. The root package makes
// Writers of both. Package linux uses only the [Notes], for a process that is dumping core. Files: segments.go has the memory in
// the file, notes.go and threads.go the notes, maps.go and images.go the memory map, arguments.go the command line, pipe.go the
// pipe, source.go the rest of snapshot.Source.
//
// The file is never read as a whole, and nothing in it is trusted: every count and size is bounded, and damage affects only the
// damaged part. An error from New wraps ErrNotCore, ErrNoThread, ErrCompressed or snapshot.ErrUnsupported. A [Source] keeps an
// index of segments and notes in arenas until Close, and scratch buffers on the Go heap. Reads block as the io.ReaderAt does.
//
// Layouts: core(5), and in the Linux kernel fs/binfmt_elf.c, fs/compat_binfmt_elf.c and include/uapi/linux/elfcore.h. gdb's gcore
// writes the same notes; the differences are named where they matter.
package corefile
