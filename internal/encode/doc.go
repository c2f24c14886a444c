// Package encode writes a snapshot as a minidump file.
//
// It imports no source: what it still needs of the process while it writes, the memory of a full dump, comes through a
// [snapshot.Memory]. The root package owns the [File] and calls [File.Write] once per dump.
//
// The same code runs at least twice. The first pass has no writer: it records the offset of everything that a record
// refers to, and so finds the size of the file. If the size limit is exceeded, limit.go drops parts of the snapshot and
// measures again. The last pass writes the bytes in order, so that the destination need not seek.
//
// Layouts are those of package stream. docs/format.md describes the streams. Memory: the buffer is the caller's
// ([BufferSize]), the offsets lie in an arena, and only mode full allocates, once, in [File.Init]. Write blocks as its
// io.Writer does; after an error the file is incomplete and useless.
package encode
