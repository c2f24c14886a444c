// Package snapshot defines what a dump consists of, independent of any operating system and of the file format, and
// selects the memory that goes into it.
//
// A [Source] (packages linux, corefile, windows, darwin) fills a [Snapshot]; package images completes its module list;
// package encode writes it. The root package owns the Snapshot and calls all of them:
//
//	Begin → Source.Capture → Source.Complete → images.Identify → CleanMemory → encode.File.Write → Source.Release
//
// Files: snapshot.go is the whole, and one file defines each record (thread.go, module.go, mapping.go, range.go,
// softerror.go). want.go is what the caller requested, with all defaults resolved. blame.go decides which thread a
// dump is about and completes crashes. select.go, stacks.go and sanitize.go choose, cut and sanitize memory.
// regsets.go and context.go are about registers.
//
// All tables and bytes are in arenas that the Snapshot reserves once ([Snapshot.Reserve]) and empties between dumps
// ([Snapshot.Begin]). Spans and pointers to entries are valid until then. While a target is stopped this package makes
// no system calls except through its [Memory] and through arenas that grow, and allocates nothing from the Go heap;
// [Refine] and [RefineBy] are the exceptions, and are called before a dump. What cannot be captured becomes a
// [SoftError]; only Source.Capture fails a dump.
package snapshot
