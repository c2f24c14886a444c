// Package process reads the memory of another process that goes on running, and finds its modules (the program and its
// libraries) and what is inside them: build id, SONAME, sections, notes. It is for a program that reads what another process
// keeps at a known place, such as annotations in a section or behind an ELF note, beside a dump or without one.
//
// [Open] a process, find a module by [Process.FindModule] or list all by [Process.Modules], ask the module where something
// lies ([Module.Section], [Module.Note]) and read it by [Process.Read] or [Process.String]. [Process.Close] releases what Open
// has taken, some descriptors and memory; after it the methods of the process and of its modules return errors. What they have
// returned before is the caller's.
//
// The process is neither stopped nor traced. So what is read in two steps may not fit together, and a list that the process is
// changing may be cut short. A module describes what was loaded when it was listed; the process may unload it. Nothing that is read
// is trusted: counts and offsets are bounded.
//
// The caller needs: on Linux the permission to trace the process (the same user and, with Yama, an ancestor; or CAP_SYS_PTRACE);
// on Windows PROCESS_QUERY_INFORMATION and PROCESS_VM_READ; on macOS the right to its task port (root, or an entitlement). The
// calling process may read itself. Elsewhere Open fails with [ErrUnsupported].
//
// What can block: on Linux, Read waits for memory that someone else delivers (userfaultfd, a file server), for as long as that
// takes, and reading a page that was never used makes the process larger by it. Modules and FindModule read only what is
// there at once, and no file of a file server is opened. Memory that the process itself may not read (PROT_NONE) is read where
// the kernel allows that. On Windows guard pages and memory of devices are not read.
//
// Where it looks for sections: Windows and macOS have their headers in memory. Those of ELF images are usually only in the file.
// The file is opened through /proc/PID/map_files if the caller may, else by its path below the root folder of the process, where
// device and inode must be those of the mapping. Its build id must be that of the module in memory. If the file is gone, replaced
// or on a file server, the error is [ErrNoSection] with the reason.
//
// A Process and its modules serve one goroutine at a time.
package process
