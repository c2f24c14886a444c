// Package macho reads Mach-O images in the memory of a task or in a file: the identity (LC_UUID), segments and sections, install
// name and version of a library, its platform, the dynamic linker, and the message that a library left about its crash. It reads
// thin and fat files, 32-bit and 64-bit, of both byte orders.
//
// It differs from debug/macho in the ways that a crash dump writer requires:
//
//   - It never allocates after [NewReader]. Functions accept bytes that the caller has read, or a [Source], and fill in
//     structures of the caller. (debug/macho builds a tree of load commands, sections and readers.)
//   - It reads memory images as well as files. In memory every segment has moved by the slide of the image. The segments of an
//     image in the dyld shared cache are far from its header and from each other, so an image is never assumed to be contiguous.
//     (debug/macho needs a file.)
//   - Input is assumed to be hostile. Every size, count and offset is bounded, nothing panics, and the work is bounded for any
//     input.
//
// [ParseHeader] and [Image.Scan] are for a caller that has read the headers and load commands of many images at once. [Reader] is
// for a caller that reads images one by one.
//
// A []byte passed to this package must lie in heap or mapped memory: the byte order is an interface value
// ([encoding/binary.ByteOrder]), so the compiler moves a local array passed in to the heap.
//
// Sources of the layouts: <mach-o/loader.h>, <mach-o/fat.h> and <mach/machine.h> of XNU. A value that an image does not state is
// an empty string or 0.
package macho
