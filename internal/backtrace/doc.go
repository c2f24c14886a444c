// Package backtrace finds the calls on the stacks of a dump and names them, with what this machine has: the dump itself and the
// files of the program. The commands call it when a dump is complete, and show does for any dump.
//
// It puts packages stackwalk and symbol together, bounds the time, and computes the signature of a crash. Nothing of a dump and of
// a file is trusted. It blocks as long as the files do; a file on a file system that a server answers for is not opened if the dump
// says so (the device numbers in its LinuxMaps stream).
package backtrace
