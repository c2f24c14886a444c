// Package darwin captures a process of macOS or iOS: another task, or the one in which it runs.
//
// The parts that know the formats (registers, dyld's list of images, the facts of the machine, crash annotations,
// exceptions) work on plain records and bytes, so they build and are tested on every system. Files with _darwin in
// their names make the system calls.
package darwin
