//go:build linux

// Package linux makes a live Linux or Android process a source of snapshots.
//
// There are two sources. [Source] stops a running process by ptrace. [Dumping] is a process whose core the kernel is
// writing into a pipe: it cannot be traced and no longer runs, so its registers come from the notes of the core. Both
// embed a [Reader], which reads /proc and the memory of the process and stops nothing.
//
//	Source.Capture  prepare (source.go, process.go, maps.go): state, auxv, memory map, list of threads; nothing is stopped
//	                stopAll (stop.go): PTRACE_SEIZE and PTRACE_INTERRUPT for every thread
//	                readRegisters (registers.go), captureMemory (reader.go), resume (stop.go)
//	Complete        thread names, loaded objects, descriptors (reader.go, handles.go)
//	Identify        build ids that are only in files (identify.go)
//
// thread.go is the OS thread that makes the ptrace requests. machine.go and android.go read the facts about the machine, once.
//
// The root package allocates a Source together with its Writer and calls it through snapshot.Source. All memory is
// allocated by [Source.Init] and [Reader.FirstLook]; after that nothing is allocated from the Go heap. Between stop and
// resume only raw system calls are made: no lock, channel, timer or goroutine, and every wait has a deadline. Capture
// fails if the process is gone or access to it is denied; everything else is a soft error.
//
// Sources of facts: proc(5), ptrace(2), process_vm_readv(2), and the kernel headers named where they are used.
package linux
