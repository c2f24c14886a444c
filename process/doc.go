// Package process reads the memory of another, running process, and finds its modules (the program and its libraries) and their
// contents: build id, SONAME, sections, notes. It is for programs that read data that another process keeps at a known place, such
// as annotations in a section or referred to by an ELF note, with or without a dump.
//
// [Open] a process, find a module with [Process.FindModule] or list all with [Process.Modules], find the address of a part of the
// module ([Module.Section], [Module.Note]) and read it with [Process.Read] or [Process.String]. [Process.Close] releases the
// descriptors and memory of the process; after it the methods of the process and of its modules return errors. The caller owns all
// returned values.
//
// The process is neither stopped nor traced. So the results of two reads may be inconsistent, and a list that the process is
// changing may be cut short. A module describes what was loaded when the modules were listed; the process may unload it. Nothing
// that is read is trusted: counts and offsets are bounded.
//
// Required permissions: on Linux permission to trace the process (the same user and, with Yama, an ancestor; or CAP_SYS_PTRACE); on
// Windows PROCESS_QUERY_INFORMATION and PROCESS_VM_READ; on macOS the right to its task port (root, or an entitlement). The calling
// process may read itself. Elsewhere Open fails with [ErrUnsupported].
//
// What can block: on Linux, Read waits without a time limit for memory that a userfaultfd or a file server must deliver. Reading a
// page that was never used adds that page to the process. Modules and FindModule read only memory that is present, and open no file
// on a file server. Memory that the process itself may not read (PROT_NONE) is read where the kernel allows that. On Windows guard
// pages and device memory are not read.
//
// Sources of sections: images of Windows and macOS have their section headers in memory; those of ELF images are usually only in
// the file. The file is opened through /proc/PID/map_files if the caller may do that, otherwise by its path in the root folder of
// the process, where device and inode must equal those of the mapping. Its build id must equal that of the module in memory. If the
// file has been deleted or replaced or is on a file server, the error is [ErrNoSection] with the reason.
//
// A Process and its modules may be used by one goroutine at a time.
package process
