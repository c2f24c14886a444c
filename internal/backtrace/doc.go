// Package backtrace finds the calls on the stacks of a dump and names them, using what this machine has: the dump itself and the
// files of the program. The commands call it when a dump is complete, and show calls it for any dump.
//
// It combines packages stackwalk and symbol, limits the time, and computes the signature of a crash. Nothing in a dump or a file is
// trusted. It blocks while a file read blocks. A file on a file system that is served by a process or over a network is not opened
// if the dump shows that (by the device numbers in its LinuxMaps stream).
package backtrace
