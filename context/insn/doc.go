// Package insn reads instruction bytes: what memory a faulting instruction accessed ([Decode], [Refine]), and whether code
// ends in a call ([IsCall]).
//
// It is separate from package context because the disassemblers of golang.org/x/arch have tables of more than a megabyte, which a
// program that only writes dumps does not need. A program that imports it, if only for its effect,
//
//	import _ "minidump/context/insn"
//
// makes Crash.Refine of package context work.
//
// The package is pure data transformation: architecture and byte order are values.
package insn
