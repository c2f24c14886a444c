// Package pe reads PE images, the programs and libraries of Windows, in the memory of a process or in a file: headers, sections,
// the debug directory with its CodeView record, the version resource, and exported names.
//
// It differs from debug/pe in four ways, each required by a crash dump writer:
//
//   - It allocates nothing after [NewReader], except in the methods that return a Go string and in the iterators. A [Reader] uses
//     scratch memory of its caller and returns subslices of it.
//   - It reads loaded images as well as files. In memory every part is at its RVA; in a file the section table states its offset.
//   - It reads what identifies a module to a debugger: the CodeView record, the time stamp and size, the version. (debug/pe reads
//     none of the three.)
//   - Input is assumed to be hostile. Every size, count, offset and chain is bounded, arithmetic can't wrap into a wrong slice,
//     nothing panics, and the work is bounded for any input.
//
// Images of every machine are supported on every host. The package makes no system call.
//
// An RVA (relative virtual address) is an offset from the address at which the image starts in memory.
//
// Sources of the layouts: the PE Format specification of Microsoft, winnt.h and verrsrc.h of the Windows SDK, and for
// the CodeView record cvinfo.h of Microsoft's microsoft-pdb repository.
package pe
