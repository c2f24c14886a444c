// Package goroutines adds the goroutines to every dump of a Go program. Import it for this side effect:
//
//	import _ "minidump/goroutines"
//
// A dump then has the stream stream.GoroutineListStream, which File.Goroutines of package stream reads. It also has
// the frames of threads on the runtime's own stacks. Without the import a dump of a Go program still has the stacks of
// its threads.
//
// It is a separate package because the code that reads the Go runtime's data would make a program that only dumps
// other processes a quarter of a megabyte larger in memory. The command minidump and package crash import it.
package goroutines

import "minidump/internal/goruntime"

func init() { goruntime.NewLister = func() goruntime.Lister { return new(goruntime.List) } }
