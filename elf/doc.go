// Package elf reads ELF images in the memory of a process or in a file: headers, segments, notes, build ids, SONAMEs, the dynamic
// section, the dynamic linker's list of modules, zip archives that libraries are mapped from, and Go build information.
//
// It differs from debug/elf in four ways, each required by a crash dump writer:
//
//   - It never allocates. Functions accept bytes that the caller has read and return values or subslices, so a stopped process
//     can be examined without the Go heap. (debug/elf builds a tree of sections, names and readers.)
//   - It reads memory images as well as files. In memory there are usually no section headers, addresses are relocated, and the
//     program header table is authoritative. (debug/elf needs the section table and file offsets.)
//   - Callers read in batches: one vectored read fetches the first pages of a thousand modules. So the functions do not request
//     more bytes by callbacks; they return where the next bytes lie ([Image.Notes], [Image.Dynamic]). The one exception is
//     [Reader], for images that are read one by one.
//   - Input is assumed to be hostile. Every size, count, offset and chain is bounded, arithmetic can't wrap into a wrong slice,
//     nothing panics, and the work is bounded for any input.
//
// Both classes and both byte orders are supported on every host. The package makes no system call.
//
// A []byte passed to this package must lie in heap or mapped memory: the byte order is an interface value
// ([encoding/binary.ByteOrder]), so the compiler moves a local array passed in to the heap.
//
// Sources of the layouts: the System V ABI (gABI) chapters 4 and 5, elf.h and link.h of glibc, and
// PKWARE's APPNOTE.TXT.
package elf
