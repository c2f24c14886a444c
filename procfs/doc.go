// Package procfs reads what Linux shows of a process and its machine in /proc, /sys and /etc, without allocating.
//
// It has two halves. The parsers (maps.go, mountinfo.go, smaps.go, stat.go and so on) are functions over bytes that build and
// run on every operating system, so that they also serve a core file or a text kept from elsewhere; none of them
// trusts its input. The readers (the _linux.go files) fill buffers of the caller through package internal/sys.
//
// Pages reports which pages of a process can be read without waiting for anyone and without changing it; BackingOf, who
// answers for the pages of a mapped file; ReadVMFlags, which mappings are marked MADV_DONTDUMP.
//
// # Memory
//
// Only Open and ParseCPUInfo allocate. What a reader fills (buffers, a unix.Statx_t, a Query) must lie in heap or mapped memory,
// never in a local variable of a goroutine; it is the caller's, and slices that a parser returns point into the bytes
// that it was given. Paths that a reader builds are built in the Dir itself, so a Dir serves one goroutine at a time.
//
// # Errors
//
// A reader returns the kernel's error number, 0 for success. The common ones: ENOENT and ESRCH, the process or thread is
// gone (which of the two depends on the file and the moment); EACCES and EPERM, the caller may not look.
package procfs
