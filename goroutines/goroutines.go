// Package goroutines makes every dump of a Go program list its goroutines: import it for that effect.
//
//	import _ "minidump/goroutines"
//
// A dump then has the stream stream.GoroutineListStream, which File.Goroutines of package stream reads, and threads on
// the runtime's own stacks have their frames in it. Without the import a dump of a Go program still has the stacks of
// its threads.
//
// It is a package of its own because what reads the Go runtime would make a program that only dumps other processes a
// quarter of a megabyte larger in memory. The command minidump and package crash import it.
package goroutines

import "minidump/internal/goruntime"

func init() { goruntime.NewLister = func() goruntime.Lister { return new(goruntime.List) } }
