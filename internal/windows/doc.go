// Package windows reads what a minidump contains about a Windows process: threads with their registers, modules, the memory
// map, handles, unloaded modules, and facts about the process and the machine.
//
// The parsers of structures in the target's memory (exception.go, layout.go, loader.go, unloaded.go) build on every system,
// so they are tested and fuzzed everywhere. The system calls (files *_windows.go) are thin and typed: each function
// fills a record of its caller, allocates nothing, and returns the system's error.
//
// Libraries are loaded only from the System32 folder, and no package that imports net is used: a crashing program must not
// load a library from its own folder, or initialize sockets.
//
// Facts that Microsoft does not document are from the headers of System Informer (phnt) and of Wine. Comments name the header.
package windows
