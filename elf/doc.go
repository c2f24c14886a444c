// Package elf reads ELF images as they lie in the memory of a process or in a file: headers, segments,
// notes, build ids, SONAMEs, the dynamic section, the dynamic linker's list of modules, zip archives that libraries are
// mapped out of, and Go build information.
//
// It differs from debug/elf in four ways, each because a crash dump writer needs it:
//
//   - It never allocates. Functions take bytes that the caller has read and return values or subslices, so a stopped
//     process can be looked at without the Go heap. (debug/elf builds a tree of sections, names and readers.)
//   - It reads memory images as well as files. In memory there are usually no section headers, addresses are relocated,
//     and what counts is the program header table. (debug/elf needs the section table and file offsets.)
//   - Callers read in batches: one vectored read serves the first pages of a thousand modules. So nothing here calls
//     back for more bytes; a function returns where the next bytes lie ([Image.Notes], [Image.Dynamic]). The one exception is
//     [Reader], for images that are looked at one by one.
//   - Input is hostile by assumption. Every size, count, offset and chain is bounded, arithmetic can't wrap into a
//     wrong slice, nothing panics, and the work is bounded whatever the bytes say.
//
// Both classes and both byte orders work on every host. Nothing here makes a system call.
//
// A []byte that is passed to this package must lie in heap or mapped memory: byte order is a value
// ([encoding/binary.ByteOrder]), so the compiler moves a local array passed in to the heap.
//
// Sources of the layouts: the System V ABI (gABI) chapters 4 and 5, elf.h and link.h of glibc, and
// PKWARE's APPNOTE.TXT.
package elf
