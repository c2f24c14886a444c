package encode

import (
	"math"

	"minidump/procfs"
	"minidump/stream"

	"minidump/internal/snapshot"
)

// putThreads puts the contexts of the threads, and the thread list.
func (f *File) putThreads() {
	s, e := f.snap, &f.enc
	ths := s.Threads.All()
	var empty stream.Location
	if size := s.EmptyContextSize(); size > 0 {
		e.Align(16)
		empty = f.location(e.Offset(), uint64(size))
		if f.writing {
			s.EmptyContext(e.Next(size))
		} else {
			e.Zero(uint64(size))
		}
	}
	f.at.crash = empty
	for i := range ths { // contexts first, so that the list can refer to them
		t := &ths[i]
		size := s.ContextSize(t)
		if size == 0 {
			continue
		}
		e.Align(16) // the alignment of CONTEXT in winnt.h
		f.at.context[i] = e.Offset()
		if f.writing {
			s.PutContext(e.Next(size), t, &f.debug)
		} else {
			e.Zero(uint64(size))
		}
		if t.TID == s.Proc.Blamed {
			f.at.crash = f.location(f.at.context[i], uint64(size))
		}
	}
	off := f.begin()
	e.U32(uint32(len(ths)))
	for i := range ths {
		t := &ths[i]
		r := stream.Thread{
			ThreadID: uint32(t.TID), SuspendCount: t.SuspendCount, PriorityClass: t.PriorityClass, Priority: t.Priority, Teb: t.Teb,
			Context: empty,
		}
		if size := s.ContextSize(t); size > 0 {
			r.Context = f.location(f.at.context[i], uint64(size))
		}
		if t.StackHi > t.StackLo {
			r.Stack = stream.MemoryDescriptor{Start: t.StackLo, Memory: f.location(f.at.stack[i], t.StackHi-t.StackLo)}
		}
		r.Put(e.Next(stream.ThreadSize), e.Order())
	}
	f.end(stream.ThreadListStream, off)
}

func namedThreads(s *snapshot.Snapshot) (n int) {
	for i := range s.Threads.All() {
		if s.Threads.At(i).Name.Len > 0 {
			n++
		}
	}
	return n
}

func (f *File) putThreadNames() {
	s, e := f.snap, &f.enc
	n := namedThreads(s)
	if n == 0 {
		return
	}
	ths := s.Threads.All()
	off := f.begin()
	e.U32(uint32(n))
	for i := range ths {
		if t := &ths[i]; t.Name.Len > 0 {
			r := stream.ThreadName{ThreadID: uint32(t.TID), NameRVA: f.at.threadName[i]}
			r.Put(e.Next(stream.ThreadNameSize), e.Order())
		}
	}
	f.end(stream.ThreadNamesStream, off)
	for i := range ths {
		if t := &ths[i]; t.Name.Len > 0 {
			e.Align(4)
			f.at.threadName[i] = e.Offset()
			e.String(s.Bytes.Get(t.Name))
		}
	}
}

func (f *File) putModules() {
	s, e := f.snap, &f.enc
	mods := s.Modules.All()
	off := f.begin()
	e.U32(uint32(len(mods)))
	for i := range mods {
		m := &mods[i]
		r := stream.Module{
			BaseOfImage: m.Base, SizeOfImage: uint32(min(m.End-m.Base, math.MaxUint32)), NameRVA: f.rva(f.at.moduleName[i]),
			CheckSum: m.CheckSum, TimeDateStamp: m.TimeStamp,
		}
		if m.CodeView.Len > 0 {
			r.CvRecord = f.location(f.at.codeView[i], uint64(m.CodeView.Len))
		} else if m.ID.Len > 0 {
			r.CvRecord = f.location(f.at.codeView[i], stream.CVELFSize(s.Bytes.Get(m.ID)))
		}
		if m.Fixed.Len == stream.FixedFileInfoSize {
			r.VersionInfo.Get(s.Bytes.Get(m.Fixed), s.Target.Order)
		} else if m.HasVersion {
			// Readers of Linux dumps expect one number per word, not two packed ones.
			r.VersionInfo = stream.FixedFileInfo{
				Signature: stream.VS_FFI_SIGNATURE, StrucVersion: stream.VS_FFI_STRUCVERSION,
				FileVersionMS: m.Version[0], FileVersionLS: m.Version[1],
				ProductVersionMS: m.Version[2], ProductVersionLS: m.Version[3],
			}
		}
		r.Put(e.Next(stream.ModuleSize), e.Order())
	}
	f.end(stream.ModuleListStream, off)
	for i := range mods {
		m := &mods[i]
		e.Align(4)
		if m.CodeView.Len > 0 {
			f.at.codeView[i] = e.Offset()
			e.Bytes(s.Bytes.Get(m.CodeView))
			e.Align(4)
		} else if m.ID.Len > 0 {
			f.at.codeView[i] = e.Offset()
			e.CVELF(s.Bytes.Get(m.ID))
			e.Align(4)
		}
		f.at.moduleName[i] = e.Offset()
		e.String(s.Bytes.Get(m.Name))
	}
}

// protections lists the memory protection constants of winnt.h, indexed by PermRead|PermWrite|PermExec.
var protections = [8]uint32{
	stream.PAGE_NOACCESS, stream.PAGE_READONLY, stream.PAGE_READWRITE, stream.PAGE_READWRITE,
	stream.PAGE_EXECUTE, stream.PAGE_EXECUTE_READ, stream.PAGE_EXECUTE_READWRITE, stream.PAGE_EXECUTE_READWRITE,
}

func (f *File) putMemoryInfo() {
	s, e := f.snap, &f.enc
	maps, regions := s.Mappings.All(), s.Regions.All()
	if len(regions) > 0 {
		f.putRegions(regions)
		return
	}
	if len(maps) == 0 {
		return
	}
	off := f.begin()
	h := stream.MemoryInfoList{
		SizeOfHeader: stream.MemoryInfoListSize, SizeOfEntry: stream.MemoryInfoSize, NumberOfEntries: uint64(len(maps)),
	}
	h.Put(e.Next(stream.MemoryInfoListSize), e.Order())
	for i := range maps {
		m := &maps[i]
		p := protections[m.Perm&(snapshot.PermRead|snapshot.PermWrite|snapshot.PermExec)]
		r := stream.MemoryInfo{
			BaseAddress: m.Start, AllocationBase: m.Start, AllocationProtect: p, RegionSize: m.End - m.Start,
			State: stream.MEM_COMMIT, Protect: p, Type: stream.MEM_PRIVATE,
		}
		if m.Perm&snapshot.PermShared != 0 {
			r.Type = stream.MEM_MAPPED
		}
		r.Put(e.Raw(stream.MemoryInfoSize), e.Order())
	}
	f.end(stream.MemoryInfoListStream, off)
}

// putRegions puts records that the source made.
func (f *File) putRegions(regions []stream.MemoryInfo) {
	e := &f.enc
	off := f.begin()
	h := stream.MemoryInfoList{
		SizeOfHeader: stream.MemoryInfoListSize, SizeOfEntry: stream.MemoryInfoSize, NumberOfEntries: uint64(len(regions)),
	}
	h.Put(e.Next(stream.MemoryInfoListSize), e.Order())
	for i := range regions {
		regions[i].Put(e.Raw(stream.MemoryInfoSize), e.Order())
	}
	f.end(stream.MemoryInfoListStream, off)
}

func (f *File) putHandles() {
	s, e := f.snap, &f.enc
	hs := s.Handles.All()
	if len(hs) == 0 {
		return
	}
	off := f.begin()
	h := stream.HandleDataHeader{
		SizeOfHeader: stream.HandleDataHeaderSize, SizeOfDescriptor: stream.HandleDescriptorSize, NumberOfDescriptors: uint32(len(hs)),
	}
	h.Put(e.Next(stream.HandleDataHeaderSize), e.Order())
	for i := range hs {
		r := stream.HandleDescriptor{
			Handle: uint64(hs[i].FD), TypeNameRVA: f.rva(f.at.handleType[i]), ObjectNameRVA: f.rva(f.at.handleName[i]), Attributes: hs[i].Mode,
			GrantedAccess: hs[i].Access, HandleCount: hs[i].HandleCount, PointerCount: hs[i].PointerCount,
		}
		r.Put(e.Next(stream.HandleDescriptorSize), e.Order())
	}
	f.end(stream.HandleDataStream, off)
	for i := range hs {
		e.Align(4)
		f.at.handleName[i] = e.Offset()
		e.String(s.Bytes.Get(hs[i].Target))
		e.Align(4)
		f.at.handleType[i] = e.Offset()
		if hs[i].Type.Len > 0 {
			e.String(s.Bytes.Get(hs[i].Type))
			continue
		}
		kind := procfs.FileTypeName(hs[i].Mode)
		if hs[i].NoType {
			kind = ""
		}
		e.String(bytesOf(kind))
	}
}

func (f *File) putDSO() {
	s, e := f.snap, &f.enc
	if !s.DSO.Have {
		return
	}
	lms := s.LinkMaps.All()
	wide := s.Target.Arch.WordSize() == 8 // a reader knows only the architecture
	e.Align(8)
	f.at.linkMaps = e.Offset()
	for i := range lms {
		m := &lms[i]
		if wide {
			r := stream.LinkMap64{Addr: m.Addr, NameRVA: f.rva(f.at.linkName[i]), Ld: m.Ld}
			r.Put(e.Next(stream.LinkMap64Size), e.Order())
		} else {
			r := stream.LinkMap32{Addr: uint32(m.Addr), NameRVA: f.rva(f.at.linkName[i]), Ld: uint32(m.Ld)}
			r.Put(e.Next(stream.LinkMap32Size), e.Order())
		}
	}
	for i := range lms {
		e.Align(4)
		f.at.linkName[i] = e.Offset()
		e.String(s.Bytes.Get(lms[i].Name))
	}
	off := f.begin()
	first := uint32(stream.NoLinkMaps)
	if len(lms) > 0 {
		first = f.rva(f.at.linkMaps)
	}
	if wide {
		r := stream.DSODebug64{
			Version: uint32(s.DSO.Version), MapRVA: first, DSOCount: uint32(len(lms)), Brk: s.DSO.Brk, LdBase: s.DSO.LdBase,
			Dynamic: s.DSO.Dynamic,
		}
		r.Put(e.Next(stream.DSODebug64Size), e.Order())
	} else {
		r := stream.DSODebug32{
			Version: uint32(s.DSO.Version), MapRVA: first, DSOCount: uint32(len(lms)), Brk: uint32(s.DSO.Brk),
			LdBase: uint32(s.DSO.LdBase), Dynamic: uint32(s.DSO.Dynamic),
		}
		r.Put(e.Next(stream.DSODebug32Size), e.Order())
	}
	e.Bytes(s.Bytes.Get(s.DSO.DynData))
	f.end(stream.LinuxDSODebug, off)
}

// putRegisterSets puts the register sets that the context records do not contain. The snapshot has those of a thread in
// one run: type, size and bytes of each, padded to 8.
func (f *File) putRegisterSets() {
	s, e := f.snap, &f.enc
	n := registerSets(s)
	if n == 0 {
		return
	}
	off := f.begin()
	h := stream.RegisterSets{Version: stream.RegisterSetsVersion, Count: uint32(n)}
	h.Put(e.Next(stream.RegisterSetsSize), e.Order())
	at := (off + stream.RegisterSetsSize + uint64(n)*stream.RegisterSetSize + 7) &^ 7
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		for b := s.Bytes.Get(t.Extra); len(b) >= 8; {
			note, data, rest := nextRegset(s, b)
			r := stream.RegisterSet{ThreadID: uint32(t.TID), NoteType: note, Data: f.location(at, uint64(len(data)))}
			r.Put(e.Next(stream.RegisterSetSize), e.Order())
			at += uint64(len(data)+7) &^ 7
			b = rest
		}
	}
	f.end(stream.RegisterSetsStream, off)
	e.Align(8)
	for i := range s.Threads.All() {
		for b := s.Bytes.Get(s.Threads.At(i).Extra); len(b) >= 8; {
			_, data, rest := nextRegset(s, b)
			e.Bytes(data)
			e.Align(8)
			b = rest
		}
	}
}

// nextRegset splits the first register set off b, which is part of Thread.Extra.
func nextRegset(s *snapshot.Snapshot, b []byte) (note uint32, data, rest []byte) {
	note = s.Target.Order.Uint32(b)
	n := min(int(s.Target.Order.Uint32(b[4:])), len(b)-8)
	return note, b[8 : 8+n], b[min(len(b), 8+(n+7)&^7):]
}

func registerSets(s *snapshot.Snapshot) (n int) {
	for i := range s.Threads.All() {
		for b := s.Bytes.Get(s.Threads.At(i).Extra); len(b) >= 8; n++ {
			_, _, b = nextRegset(s, b)
		}
	}
	return n
}
