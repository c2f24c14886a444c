package encode

import (
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// offsets holds the file offsets that records refer to. Each slice has one entry per entry of the snapshot's table.
type offsets struct {
	system   uint64          // the text of the SystemInfo stream
	crash    stream.Location // the context of the blamed thread
	linkMaps uint64          // the list of loaded objects

	memory64    uint64 // the memory of a Memory64List
	annotations []annotationOffsets
	annotated   uint64 // the list of modules with annotations

	words arena.Table[uint64] // holds the slices below

	context, threadName, stack []uint64 // of the threads
	codeView, moduleName       []uint64 // of the modules
	memory                     []uint64 // of the captured ranges
	handleName, handleType     []uint64 // of the handles
	linkName                   []uint64 // of the loaded objects
}

// annotationOffsets holds the offsets of the strings of one annotation.
type annotationOffsets struct{ key, value uint64 }

// fit makes the slices as long as the snapshot's tables. It returns false if there is no space.
func (o *offsets) fit(s *snapshot.Snapshot) bool {
	threads, modules, handles := s.Threads.N, s.Modules.N, s.Handles.N
	o.words.Clear()
	all := o.words.Extend(3*threads + 2*modules + s.Memory.N + 2*handles + s.LinkMaps.N)
	if all == nil {
		return false
	}
	clear(all)
	cut := func(n int) (part []uint64) {
		part, all = all[:n:n], all[n:]
		return part
	}
	o.context, o.threadName, o.stack = cut(threads), cut(threads), cut(threads)
	o.codeView, o.moduleName = cut(modules), cut(modules)
	o.memory = cut(s.Memory.N)
	o.handleName, o.handleType = cut(handles), cut(handles)
	o.linkName = cut(s.LinkMaps.N)
	return true
}
