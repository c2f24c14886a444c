// Package macho reads Mach-O images as they lie in the memory of a task or in a file: the identity (LC_UUID), segments and
// sections, install name and version of a library, the platform it was built for, the dynamic linker, and where a library
// left a message about its crash. It reads thin and fat files, 32-bit and 64-bit, of both byte orders.
//
// It differs from debug/macho in the ways that a crash dump writer needs:
//
//   - It never allocates after [NewReader]. Functions take bytes that the caller has read, or a [Source], and fill in
//     structures of the caller. (debug/macho builds a tree of load commands, sections and readers.)
//   - It reads memory images as well as files. In memory every segment has moved by the slide of the image. The segments
//     of an image in the dyld shared cache are far from its header and from each other, so an image is never taken for one
//     piece of memory. (debug/macho needs a file.)
//   - Input is hostile by assumption. Every size, count and offset is bounded, nothing panics, and the work is bounded
//     whatever the bytes say.
//
// [ParseHeader] and [Image.Scan] serve a caller that has read the header and the load commands of many images at once.
// [Reader] serves one that reads images one by one.
//
// A []byte that is passed to this package must lie in heap or mapped memory: byte order is a value
// ([encoding/binary.ByteOrder]), so the compiler moves a local array that is passed in to the heap.
//
// Sources of the layouts: <mach-o/loader.h>, <mach-o/fat.h> and <mach/machine.h> of XNU. An empty string and 0 stand for
// what an image does not state.
package macho
