// Package sys holds the Linux system calls of the hot path, as thin typed wrappers over one gate, and what several packages
// need to read the kernel's answers. Where the system is not Linux it has only the latter.
//
// Every call goes through a Gate, so that the root package can put its own assembly stub there and a test can make
// any call fail, or hang (package hang). A wrapper never allocates and returns a bare errno (0 is success): a caller makes
// an error of it later.
//
// Pointers handed to a wrapper escape: what they point to must have been allocated by a constructor (or lie in mapped
// memory), because a goroutine stack can move while the kernel holds an address in it.
//
// Paths are NUL-terminated byte sequences: a constant such as "maps\x00", or bytes in an arena.
package sys
