// Package insn reads instruction bytes: what memory a faulting instruction accessed ([Decode], [Refine]), and whether code
// ends in a call ([IsCall]).
//
// It is apart from package context because the disassemblers of golang.org/x/arch bring tables of more than a megabyte, which
// a program that only writes dumps can do without. A program that imports it, if only for its effect,
//
//	import _ "minidump/context/insn"
//
// makes Crash.Refine of package context work.
//
// It is pure data transformation, as package context is: architecture and byte order are values.
package insn
