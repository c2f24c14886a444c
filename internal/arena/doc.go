// Package arena holds the memory of a dump outside the Go heap: growing byte storage and tables whose entries stay where
// they are.
//
// Packages snapshot, encode and the sources keep everything a dump collects in arenas. An [Arena] reserves address
// space when a Writer is made ([Arena.Reserve], which may fail) and makes it usable in steps while a dump runs. When
// the reserved space is used up, calls return nil, an empty [Span] or false; they never panic. Emptying an arena keeps
// its pages, so the next dump of the same process makes no system call for them. Only [Arena.Release] returns the
// memory.
//
// The owner of an arena is the struct it is embedded in. Nothing here is safe for concurrent use. Entries must hold no
// Go pointers: the garbage collector does not scan arenas. Text and bytes are therefore referred to by [Span]. The one
// exception is a batch of reads (snapshot.Requests), whose pointers refer to arenas and to the object that holds the
// snapshot.
//
// On Linux the space is reserved with PROT_NONE and opened with mprotect, on other Unix systems it is mapped readable
// and writable at once, on Windows it is reserved and committed by VirtualAlloc, elsewhere it is a Go slice.
package arena
