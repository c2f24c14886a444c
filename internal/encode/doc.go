// Package encode writes a snapshot as a minidump file.
//
// It imports no source: what it reads from the process while it writes, the memory of a full dump, comes through a
// [snapshot.Memory]. The root package owns the [File] and calls [File.Write] once per dump.
//
// The same code runs at least twice. The first pass has no writer: it records the offset of everything that a record
// refers to, and so determines the size of the file. If the size limit is exceeded, limit.go drops parts of the snapshot
// and measures again. The last pass writes the bytes in order, so the destination does not have to support seeking.
//
// Layouts are those of package stream. docs/format.md describes the streams. Memory: the buffer is the caller's
// ([BufferSize]), the offsets are in an arena, and only mode full allocates, once, in [File.Init]. Write blocks when
// its io.Writer does; after an error the file is incomplete and useless.
package encode
