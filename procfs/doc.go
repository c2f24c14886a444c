// Package procfs reads what Linux reports about a process and its machine in /proc, /sys and /etc, without allocating.
//
// It has two halves. The parsers (maps.go, mountinfo.go, smaps.go, stat.go and so on) are functions over bytes that build and run
// on every operating system, so that they also work for a core file or saved text. None of them trusts its input. The readers
// (the _linux.go files) fill buffers of the caller through package internal/sys.
//
// Pages reports which pages of a process can be read without blocking and without changing the process. BackingOf reports who
// provides the pages of a mapped file. ReadVMFlags reports which mappings are marked MADV_DONTDUMP.
//
// # Memory
//
// Only Open and ParseCPUInfo allocate. Anything that a reader fills (buffers, a unix.Statx_t, a Query) must lie in heap or mapped
// memory, never in a local variable of a goroutine. It belongs to the caller. Slices that a parser returns point into its input.
// Readers build paths in the Dir itself, so only one goroutine may use a Dir at a time.
//
// # Errors
//
// A reader returns the kernel's error number, 0 for success. The common ones: ENOENT and ESRCH, the process or thread is gone
// (which of the two depends on the file and the moment); EACCES and EPERM, the caller lacks permission.
package procfs
