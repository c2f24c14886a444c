// Package windows reads what a minidump holds of a Windows process: threads with their registers, modules, the memory
// map, handles, unloaded modules, and facts of the process and the machine.
//
// The layouts of structures in the target's memory (layout.go, loader.go, unloaded.go) are plain Go for every system, so
// that they are tested and fuzzed everywhere. The system calls (files *_windows.go) are thin and typed: each function
// fills a record of its caller, allocates nothing, and returns the system's error.
//
// Libraries are loaded from the System32 folder only, and no package that imports net is used: a program that crashes
// must not run what lies beside it, nor start sockets.
//
// What is not documented by Microsoft is from the headers of System Informer (phnt) and of Wine, and is named as such.
package windows
