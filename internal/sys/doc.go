// Package sys contains the Linux system calls of the hot path, as thin typed wrappers over one gate, and what several
// packages need to parse the kernel's answers. On systems other than Linux it contains only the latter.
//
// Every call goes through a Gate, so that the root package can install its own assembly stub and a test can make any call fail or
// hang (package hang). A wrapper never allocates and returns a bare errno (0 is success), which the caller turns into an error later.
//
// Pointers passed to a wrapper escape: what they point to must have been allocated by a constructor (or be in mapped
// memory), because a goroutine stack can move while the kernel holds an address in it.
//
// Paths are NUL-terminated byte sequences: a constant such as "maps\x00", or bytes in an arena.
package sys
