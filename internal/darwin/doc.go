// Package darwin captures a process of macOS or iOS: another task, or the one that it runs in.
//
// The parts that know the formats (registers, dyld's list of images, the facts of the machine, crash annotations,
// exceptions) take plain records and bytes, so that they build and are tested everywhere. Files with _darwin in their
// names make the calls.
package darwin
