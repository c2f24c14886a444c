package windows

import (
	"syscall"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
	"minidump/pe"
	"minidump/stream"
)

// captureModules records the loader's list of modules while the process is suspended. The images are read later.
func (l *Source) captureModules(s *snapshot.Snapshot) {
	if !l.loader.Open(&l.p, l.p.PEB, l.p.Wide) {
		s.Soft(snapshot.OpDSO, 0, 0, l.p.PEB) // a process that is just starting has no list
		return
	}
	for {
		ok, broken := l.loader.Next(&l.module)
		if broken {
			s.Soft(snapshot.OpDSOLoop, 0, 0, l.module.Base)
		}
		if !ok {
			return
		}
		m := s.Modules.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, l.module.Base)
			return
		}
		m.Base, m.End, m.TimeStamp = l.module.Base, l.module.Base+uint64(l.module.Size), l.module.TimeStamp
		m.Main = s.Modules.N == 1
		m.Path = putUTF16(s, l.readPath(&l.module))
		m.Name = m.Path
	}
}

// Identify does nothing: Complete reads the images of the loader's list.
func (l *Source) Identify(s *snapshot.Snapshot, m *snapshot.Module) {}

// Complete adds what can be read while the process runs again.
func (l *Source) Complete(s *snapshot.Snapshot) {
	for i := range s.Modules.All() {
		l.readImage(s, s.Modules.At(i))
	}
	if errno := l.misc.Update(&l.p); errno != 0 {
		s.Soft(snapshot.OpStat, int32(errno), 0, 0)
	}
	s.Misc = s.Put(l.misc.Record[:])
	if s.Want.Omit&snapshot.OmitHandles == 0 {
		l.readHandles(s)
	}
	l.addCounters(s)
	l.addBreakpadInfo(s)
}

// readImage reads what identifies the image of a module: time stamp, check sum, CodeView record, version.
func (l *Source) readImage(s *snapshot.Snapshot, m *snapshot.Module) {
	l.program.base = m.Base
	if !l.image.Open(&l.program, pe.Loaded) {
		s.SoftModule(snapshot.OpModule, m)
		return
	}
	h := &l.image.Header
	m.TimeStamp, m.CheckSum = h.TimeDateStamp, h.CheckSum
	if record := l.image.CodeView(&l.codeView); record != nil {
		m.CodeView = s.Put(record)
	}
	if l.image.Version(&l.version) && len(l.version.Fixed) == stream.FixedFileInfoSize {
		m.Fixed = s.Put(l.version.Fixed)
	}
}

// captureUnloaded adds the UnloadedModuleList stream.
func (l *Source) captureUnloaded(s *snapshot.Snapshot) {
	if l.ntdll == 0 || l.p.Wow64 {
		return
	}
	ring, errno := l.p.Unloaded(l.ntdll, l.page)
	if errno != 0 {
		s.Soft(snapshot.OpDSO, int32(errno), 0, l.ntdll)
		return
	}
	// The stream consists of the records and then the names. A name has 4 bytes of length, at most 32 units and a NUL.
	const nameRoom = 4 + UnloadedNameSize + 4
	used, u := 0, Unloaded{}
	for i := range ring.Count {
		if l.readUnloaded(&ring, i, &u) {
			used++
		}
	}
	if used == 0 {
		return
	}
	b := addStream(s, stream.UnloadedModuleListStream, stream.UnloadedModuleListSize+used*(stream.UnloadedModuleSize+nameRoom))
	if b == nil {
		return
	}
	clear(b)
	st := s.Streams.At(s.Streams.N - 1)
	var rvas []byte
	if st.RVAs, rvas = s.Bytes.Alloc(4 * used); rvas == nil {
		s.Streams.N--
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return
	}
	n := 0
	name := stream.UnloadedModuleListSize + used*stream.UnloadedModuleSize
	for i := 0; i < ring.Count && n < used; i++ {
		if !l.readUnloaded(&ring, i, &u) {
			continue
		}
		at := stream.UnloadedModuleListSize + n*stream.UnloadedModuleSize
		r := stream.UnloadedModule{
			BaseOfImage: u.Base, SizeOfImage: uint32(min(u.Size, 1<<32-1)), CheckSum: u.CheckSum, TimeDateStamp: u.TimeStamp, NameRVA: uint32(name),
		}
		r.Put(b[at:], le)
		le.PutUint32(rvas[4*n:], uint32(at+20)) // position of NameRVA
		le.PutUint32(b[name:], uint32(len(u.Name)))
		copy(b[name+4:], u.Name)
		name += nameRoom
		n++
	}
	st.RVAs.Len = uint32(4 * n)
	h := stream.UnloadedModuleList{SizeOfHeader: stream.UnloadedModuleListSize, SizeOfEntry: stream.UnloadedModuleSize, NumberOfEntries: uint32(n)}
	h.Put(b, le)
}

// readUnloaded reads the ith element of the ring, and reports whether it is in use.
func (l *Source) readUnloaded(ring *UnloadedRing, i int, u *Unloaded) bool {
	b := l.page[:ring.Size]
	return l.p.Read(ring.Addr+uint64(i*ring.Size), b) == len(b) && ParseUnloaded(b, l.p.Wide, u)
}

// handleBuffers are the buffer sizes that are tried for the list of handles, in bytes. A list of the handles of all
// processes can have a million entries on a busy machine.
var handleBuffers = [...]int{64 << 10, 512 << 10, 4 << 20, 32 << 20, 128 << 20}

// readHandles records the handles, with the types and names of the objects. It does not read the name of a file or a pipe: the
// kernel requests it from the file system, which blocks while a read of the file is blocked.
func (l *Source) readHandles(s *snapshot.Snapshot) {
	errno := errorBufferOverflow
	var list arena.Span
	for _, size := range handleBuffers {
		var b []byte
		s.Bytes.Trim(list, 0)
		if list, b = s.Bytes.Alloc(size); b == nil {
			break
		}
		if errno = l.list.List(&l.p, b); errno != errorBufferOverflow {
			break
		}
	}
	if errno != 0 {
		s.Soft(snapshot.OpHandles, int32(errno), 0, 0)
		return
	}
	l.types = [maxTypes]arena.Span{}
	var h Handle
	for l.list.Next(&h) {
		e := s.Handles.Add()
		if e == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, h.Value)
			return
		}
		e.FD, e.NoType, e.Mode, e.Access = int32(uint32(h.Value)), true, h.Attributes, h.Access
		l.describeHandle(s, e, &h)
		e.HandleCount, e.PointerCount = h.HandleCount, h.PointerCount
	}
}

// describeHandle finds the type, the name and the counts of a handle. What can't be determined stays empty: duplicating some
// handles of a process may be forbidden.
func (l *Source) describeHandle(s *snapshot.Snapshot, e *snapshot.Handle, h *Handle) {
	known := h.TypeIndex < maxTypes && l.types[h.TypeIndex].Len > 0
	if known {
		e.Type = l.types[h.TypeIndex]
	}
	d, errno := l.p.Duplicate(h.Value)
	if errno != 0 {
		return
	}
	defer syscall.CloseHandle(d)
	if !known {
		name, errno := TypeName(d, l.text[:4096])
		if errno != 0 {
			s.Soft(snapshot.OpHandle, int32(errno), 0, h.Value)
			return
		}
		e.Type = putUTF16(s, name)
		if h.TypeIndex < maxTypes {
			l.types[h.TypeIndex] = e.Type
		}
	}
	if h.HandleCount == 0 {
		h.Counts(d)
	}
	switch string(s.Bytes.Get(e.Type)) {
	case "File", "":
		return
	}
	if name, errno := ObjectName(d, l.text); errno == 0 {
		e.Target = putUTF16(s, name)
	}
}

// addCounters adds the streams about the memory use of the process and of the machine.
func (l *Source) addCounters(s *snapshot.Snapshot) {
	if b := addStream(s, stream.ProcessVMCountersStream, stream.ProcessVMCountersSize); b != nil {
		if errno := l.p.VMCounters(b); errno != 0 {
			s.Streams.N--
			s.Soft(snapshot.OpStat, int32(errno), 0, 0)
		}
	}
	if b := addStream(s, stream.SystemMemoryInfoStream, stream.SystemMemoryInfoSize); b != nil {
		if errno := SystemMemoryInfo(b); errno != 0 {
			s.Streams.N--
			s.Soft(snapshot.OpSystem, int32(errno), 0, 0)
		}
	}
}

// addBreakpadInfo adds the BreakpadInfo stream. Without an exception, only this stream records which thread the dump is about.
func (l *Source) addBreakpadInfo(s *snapshot.Snapshot) {
	r := stream.BreakpadInfo{Validity: stream.MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID, RequestingThreadID: uint32(s.Proc.Blamed)}
	if b := addStream(s, stream.BreakpadInfoStream, stream.BreakpadInfoSize); b != nil {
		r.Put(b, le)
	}
}

// findGoStack finds the bounds of the goroutine stack, in the Go heap, on which a thread of a Go program runs. The address of
// its g is in one of the thread's TLS slots. The Go runtime allocates the slot when it starts, so each slot is tried.
func (l *Source) findGoStack(s *snapshot.Snapshot, t *snapshot.Thread, w *Thread) {
	if !l.isGo || !t.HasSP || w.TEB == 0 || w.StackLimit <= t.SP && t.SP < w.StackBase {
		return
	}
	lay := layoutOf(l.p.Wide)
	slots := l.page[:64*lay.word]
	n := l.p.Read(w.TEB+uint64(lay.tebSlots), slots) / lay.word
	bounds := l.page[1024 : 1024+2*lay.word]
	for i := range n {
		g := lay.pointer(slots, i*lay.word)
		if g < pageSize || g%uint64(lay.word) != 0 || l.mem.Read(g, bounds) != len(bounds) {
			continue
		}
		if lo, hi := lay.pointer(bounds, 0), lay.pointer(bounds, lay.word); lo <= t.SP && t.SP < hi && hi-lo <= 1<<30 {
			t.Go[0] = snapshot.Range{Lo: lo, Hi: hi}
			return
		}
	}
}
