// Package stream is the minidump file format: its record types, an Encoder that writes them through one fixed buffer,
// and a decoder, File, that reads them back.
//
// A minidump starts with a Header. It points to a directory, whose entries point to streams; records in the streams
// point on to strings, CPU contexts and memory. A pointer is an RVA: an offset from the start of the file, of 32 bits
// except in ThreadName and Memory64List.
//
// Each record is a struct with a constant for its size, and two methods. Put writes exactly that many bytes, every field as it is
// and reserved fields as 0. Get reads them. Both panic if the slice is shorter. The byte order is a parameter, because a minidump
// has the byte order of the machine it was made on. Since the byte order is an interface, the compiler makes the slice escape:
// callers that must not allocate don't pass a local array. The record can be a local variable.
//
// The layouts are those of Microsoft's minidumpapiset.h (MINIDUMP_…), of Breakpad's minidump_format.h (MDRaw…) and
// of Crashpad's minidump_extensions.h. Records are packed: no field is moved to a multiple of its size.
//
// The package is pure data: it makes no system call, and builds for every GOOS and GOARCH. It imports neither os nor fmt, which
// would cost a program that only writes dumps 0.1 MB of memory.
package stream
