// Package pe reads PE images, the programs and libraries of Windows, as they lie in the memory of a process or in a
// file: headers, sections, the debug directory with its CodeView record, the version resource, and exported names.
//
// It differs from debug/pe in four ways, each because a crash dump writer needs it:
//
//   - It allocates nothing after [NewReader], except in the methods that return a Go string and in the iterators. A
//     [Reader] works in scratch memory of its caller and returns subslices of it.
//   - It reads loaded images as well as files. In memory every part lies at its RVA; in a file the section table says
//     where it lies.
//   - It reads what identifies a module to a debugger: the CodeView record, the time stamp and size, the version.
//     (debug/pe reads none of the three.)
//   - Input is hostile by assumption. Every size, count, offset and chain is bounded, arithmetic can't wrap into a
//     wrong slice, nothing panics, and the work is bounded whatever the bytes say.
//
// Images of every machine work on every host. Nothing here makes a system call.
//
// An RVA (relative virtual address) is an offset from the address at which the image starts in memory.
//
// Sources of the layouts: the PE Format specification of Microsoft, winnt.h and verrsrc.h of the Windows SDK, and for
// the CodeView record cvinfo.h of Microsoft's microsoft-pdb repository.
package pe
