package minidump

import (
	"errors"
	"io"
	"math"
	"unsafe"

	"minidump/procfs"
	"minidump/stream"
)

// layout is where everything of the file lies, once a measuring pass has found out. The same code runs twice: without a
// writer, noting the offset of each thing in the entry of the snapshot that will refer to it, and then with one.
type layout struct {
	dirs     []stream.Directory // capacity for all streams; made by newWriter
	size     uint64             // of the file
	memory   uint64             // where the memory of a Memory64List begins
	writing  bool
	overflow bool // an offset that must fit in 32 bits did not
	json     span // the soft errors
	jsonRVA  uint64
	jsonPad  int // blanks behind the soft errors, for those that appear while memory is streamed
	csd      uint64
	crashCtx stream.Location
	tags     []tagRVA
	mapsRVA  uint64
}

// tagRVA is where the strings of one annotation lie.
type tagRVA struct{ key, value uint64 }

// latePad is how many bytes are kept for soft errors that appear while memory is streamed. JSON allows blanks at its end.
const latePad = 4096

// standardStreams bounds the number of streams besides the user's.
const standardStreams = 32

// rva gives an offset as the 32-bit number that most records hold. One that does not fit fails the dump, later.
func (l *layout) rva(off uint64) uint32 {
	if off > math.MaxUint32 {
		l.overflow = true
		return 0
	}
	return uint32(off)
}

func (l *layout) location(off, size uint64) stream.Location {
	if size > math.MaxUint32 {
		l.overflow = true
		return stream.Location{}
	}
	return stream.Location{DataSize: uint32(size), RVA: l.rva(off)}
}

// errPlan would be a mistake of this package.
var errPlan = errors.New("its length is not the one planned")

// write lays the dump out, makes it fit the limit, and writes it.
func (w *Writer) write(dst io.Writer) error {
	s, l := &w.snap, &w.plan
	if err := w.fit(); err != nil {
		return err
	}
	if l.overflow {
		return &attemptError{what: "dump", pid: s.proc.pid, err: ErrTooLarge}
	}
	l.writing = true
	w.enc.Reset(dst, s.target.order)
	w.encode()
	l.writing = false
	if err := w.enc.Flush(); err != nil {
		return &attemptError{what: "write dump", pid: s.proc.pid, err: err}
	}
	if w.enc.Offset() != l.size {
		return &attemptError{what: "write dump", pid: s.proc.pid, err: errPlan}
	}
	return nil
}

// measure finds the size of the dump as the snapshot is now.
func (w *Writer) measure() uint64 {
	w.plan.writing, w.plan.overflow = false, false
	w.enc.Reset(nil, w.snap.target.order)
	w.encode()
	w.plan.size = w.enc.Offset()
	return w.plan.size
}

// encode puts the whole file: header, directory, the streams, and the memory last.
func (w *Writer) encode() {
	s, l, e := &w.snap, &w.plan, &w.enc
	h := stream.Header{
		Signature: stream.Signature, Version: stream.Version, NumberOfStreams: uint32(len(l.dirs)),
		StreamDirectoryRVA: stream.HeaderSize, TimeDateStamp: s.proc.time, Flags: w.contentFlags(),
	}
	h.Put(e.Next(stream.HeaderSize), e.Order())
	if l.writing {
		for i := range l.dirs {
			l.dirs[i].Put(e.Next(stream.DirectorySize), e.Order())
		}
	} else {
		// How many there are is known only after this pass; the size of the directory is put right by then.
		l.dirs = l.dirs[:0]
		e.Zero(uint64(w.streamCount()) * stream.DirectorySize)
	}
	w.putSystemInfo()
	w.putMiscInfo()
	w.putException()
	w.putThreads()
	w.putThreadNames()
	w.putModules()
	w.putMemoryInfo()
	w.putHandles()
	w.putRaw()
	w.putDSO()
	w.putCrashpad()
	w.putRegisterSets()
	w.putUserStreams()
	w.putSoftErrors()
	w.putMemory()
}

// contentFlags says in Windows' terms what kinds of content the dump has.
func (w *Writer) contentFlags() uint64 {
	f := uint64(stream.MiniDumpNormal)
	switch w.opts.Mode {
	case ModeIndirect:
		f |= stream.MiniDumpWithIndirectlyReferencedMemory
	case ModeFull:
		f |= stream.MiniDumpWithFullMemory
	}
	if w.snap.handles.n > 0 {
		f |= stream.MiniDumpWithHandleData
	}
	if w.snap.mappings.n > 0 {
		f |= stream.MiniDumpWithFullMemoryInfo
	}
	if w.opts.SanitizeStacks || w.opts.SanitizeAll {
		f |= stream.MiniDumpFilterMemory
	}
	return f
}

// begin aligns the start of a stream and returns its offset.
func (w *Writer) begin() uint64 {
	w.enc.Align(8)
	return w.enc.Offset()
}

// end enters a stream that started at off into the directory.
func (w *Writer) end(t stream.Type, off uint64) {
	w.enter(t, off, w.enc.Offset()-off)
}

func (w *Writer) enter(t stream.Type, off, size uint64) {
	if l := &w.plan; !l.writing {
		l.dirs = append(l.dirs, stream.Directory{Type: t, Location: l.location(off, size)})
	}
}

// streamCount tells how many streams the snapshot makes, before any is put. Every put function below makes one exactly
// when it is counted here.
func (w *Writer) streamCount() int {
	s := &w.snap
	n := 6 // system info, misc info, exception, threads, modules, memory
	if s.namedThreads() > 0 {
		n++
	}
	if s.mappings.n > 0 {
		n++
	}
	if s.handles.n > 0 {
		n++
	}
	for i := range s.raw {
		if s.raw[i].len > 0 {
			n++
		}
	}
	if s.dso.have {
		n++
	}
	if len(w.opts.Annotations) > 0 {
		n++
	}
	if s.registerSets() > 0 {
		n++
	}
	return n + len(w.opts.UserStreams) + 1 // soft errors
}

func (w *Writer) putSystemInfo() {
	s, l, e := &w.snap, &w.plan, &w.enc
	off := w.begin()
	info := s.system.info
	info.CSDVersionRVA = l.rva(l.csd)
	info.Put(e.Next(stream.SystemInfoSize), e.Order())
	w.end(stream.SystemInfoStream, off)
	e.Align(4)
	l.csd = e.Offset()
	e.String(s.bytes.bytes(s.system.csd))
}

func (w *Writer) putMiscInfo() {
	s, e := &w.snap, &w.enc
	off := w.begin()
	m := stream.MiscInfo2{MiscInfo: stream.MiscInfo{
		SizeOfInfo: stream.MiscInfo2Size, Flags1: stream.MINIDUMP_MISC1_PROCESS_ID,
		ProcessID: uint32(s.proc.pid), ProcessCreateTime: s.proc.createTime, ProcessUserTime: s.proc.userTime,
		ProcessKernelTime: s.proc.kernelTime,
	}}
	if s.proc.createTime != 0 { // a core file does not tell it, and readers would take 1970 for it
		m.Flags1 |= stream.MINIDUMP_MISC1_PROCESS_TIMES
	}
	m.Put(e.Next(stream.MiscInfo2Size), e.Order())
	w.end(stream.MiscInfoStream, off)
}

func (w *Writer) putException() {
	s, l, e := &w.snap, &w.plan, &w.enc
	off := w.begin()
	r := s.crash.record(s, l.crashCtx)
	r.Put(e.Next(stream.ExceptionSize), e.Order())
	w.end(stream.ExceptionStream, off)
}

func (w *Writer) putThreads() {
	s, l, e := &w.snap, &w.plan, &w.enc
	l.crashCtx = stream.Location{}
	ths := s.threads.all()
	for i := range ths { // contexts first, so that the list can refer to them
		t := &ths[i]
		t.ctxRVA = 0
		size := s.contextSize(t)
		if size == 0 {
			continue
		}
		e.Align(16) // as the CPU would want it
		t.ctxRVA = e.Offset()
		if l.writing {
			s.putContext(e.Next(size), t, &w.debug)
		} else {
			e.Zero(uint64(size))
		}
		if t.tid == s.proc.blamed {
			l.crashCtx = l.location(t.ctxRVA, uint64(size))
		}
	}
	off := w.begin()
	e.U32(uint32(len(ths)))
	for i := range ths {
		t := &ths[i]
		r := stream.Thread{ThreadID: uint32(t.tid)}
		if size := s.contextSize(t); size > 0 {
			r.Context = l.location(t.ctxRVA, uint64(size))
		}
		if t.stackHi > t.stackLo {
			r.Stack = stream.MemoryDescriptor{Start: t.stackLo, Memory: l.location(t.stackRVA, t.stackHi-t.stackLo)}
		}
		r.Put(e.Next(stream.ThreadSize), e.Order())
	}
	w.end(stream.ThreadListStream, off)
}

func (s *snapshot) namedThreads() (n int) {
	for i := range s.threads.all() {
		if s.threads.at(i).name.len > 0 {
			n++
		}
	}
	return n
}

func (w *Writer) putThreadNames() {
	s, e := &w.snap, &w.enc
	n := s.namedThreads()
	if n == 0 {
		return
	}
	ths := s.threads.all()
	off := w.begin()
	e.U32(uint32(n))
	for i := range ths {
		if t := &ths[i]; t.name.len > 0 {
			r := stream.ThreadName{ThreadID: uint32(t.tid), NameRVA: t.nameRVA}
			r.Put(e.Next(stream.ThreadNameSize), e.Order())
		}
	}
	w.end(stream.ThreadNamesStream, off)
	for i := range ths {
		if t := &ths[i]; t.name.len > 0 {
			e.Align(4)
			t.nameRVA = e.Offset()
			e.String(s.bytes.bytes(t.name))
		}
	}
}

func (w *Writer) putModules() {
	s, l, e := &w.snap, &w.plan, &w.enc
	mods := s.modules.all()
	off := w.begin()
	e.U32(uint32(len(mods)))
	for i := range mods {
		m := &mods[i]
		r := stream.Module{
			BaseOfImage: m.base, SizeOfImage: uint32(min(m.end-m.base, math.MaxUint32)), NameRVA: l.rva(m.nameRVA),
		}
		if m.id.len > 0 {
			r.CvRecord = l.location(m.cvRVA, stream.CVELFSize(s.bytes.bytes(m.id)))
		}
		if m.hasVersion {
			// One number a word, as the readers of Linux dumps expect, not two packed ones.
			r.VersionInfo = stream.FixedFileInfo{
				Signature: stream.VS_FFI_SIGNATURE, StrucVersion: stream.VS_FFI_STRUCVERSION,
				FileVersionMS: m.version[0], FileVersionLS: m.version[1],
				ProductVersionMS: m.version[2], ProductVersionLS: m.version[3],
			}
		}
		r.Put(e.Next(stream.ModuleSize), e.Order())
	}
	w.end(stream.ModuleListStream, off)
	for i := range mods {
		m := &mods[i]
		e.Align(4)
		if m.id.len > 0 {
			m.cvRVA = e.Offset()
			e.CVELF(s.bytes.bytes(m.id))
			e.Align(4)
		}
		m.nameRVA = e.Offset()
		e.String(s.bytes.bytes(m.name))
	}
}

// protections gives Windows' name of what a mapping allows, by permRead, permWrite and permExec.
var protections = [8]uint32{
	stream.PAGE_NOACCESS, stream.PAGE_READONLY, stream.PAGE_READWRITE, stream.PAGE_READWRITE,
	stream.PAGE_EXECUTE, stream.PAGE_EXECUTE_READ, stream.PAGE_EXECUTE_READWRITE, stream.PAGE_EXECUTE_READWRITE,
}

func (w *Writer) putMemoryInfo() {
	s, e := &w.snap, &w.enc
	maps := s.mappings.all()
	if len(maps) == 0 {
		return
	}
	off := w.begin()
	h := stream.MemoryInfoList{
		SizeOfHeader: stream.MemoryInfoListSize, SizeOfEntry: stream.MemoryInfoSize, NumberOfEntries: uint64(len(maps)),
	}
	h.Put(e.Next(stream.MemoryInfoListSize), e.Order())
	for i := range maps {
		m := &maps[i]
		p := protections[m.perm&(permRead|permWrite|permExec)]
		r := stream.MemoryInfo{
			BaseAddress: m.start, AllocationBase: m.start, AllocationProtect: p, RegionSize: m.end - m.start,
			State: stream.MEM_COMMIT, Protect: p, Type: stream.MEM_PRIVATE,
		}
		if m.perm&permShared != 0 {
			r.Type = stream.MEM_MAPPED
		}
		r.Put(e.Raw(stream.MemoryInfoSize), e.Order())
	}
	w.end(stream.MemoryInfoListStream, off)
}

func (w *Writer) putHandles() {
	s, l, e := &w.snap, &w.plan, &w.enc
	hs := s.handles.all()
	if len(hs) == 0 {
		return
	}
	off := w.begin()
	h := stream.HandleDataHeader{
		SizeOfHeader: stream.HandleDataHeaderSize, SizeOfDescriptor: stream.HandleDescriptorSize, NumberOfDescriptors: uint32(len(hs)),
	}
	h.Put(e.Next(stream.HandleDataHeaderSize), e.Order())
	for i := range hs {
		r := stream.HandleDescriptor{
			Handle: uint64(hs[i].fd), TypeNameRVA: l.rva(hs[i].typeRVA), ObjectNameRVA: l.rva(hs[i].nameRVA), Attributes: hs[i].mode,
		}
		r.Put(e.Next(stream.HandleDescriptorSize), e.Order())
	}
	w.end(stream.HandleDataStream, off)
	for i := range hs {
		e.Align(4)
		hs[i].nameRVA = e.Offset()
		e.String(s.bytes.bytes(hs[i].target))
		e.Align(4)
		hs[i].typeRVA = e.Offset()
		kind := procfs.FileTypeName(hs[i].mode)
		if hs[i].noType {
			kind = ""
		}
		e.String(bytesOf(kind))
	}
}

func (w *Writer) putRaw() {
	s := &w.snap
	for i, sp := range s.raw {
		if sp.len > 0 {
			off := w.begin()
			w.enc.Bytes(s.bytes.bytes(sp))
			w.end(rawTypes[i], off)
		}
	}
}

func (w *Writer) putDSO() {
	s, l, e := &w.snap, &w.plan, &w.enc
	if !s.dso.have {
		return
	}
	lms := s.linkMaps.all()
	wide := s.target.wordSize() == 8
	e.Align(8)
	l.mapsRVA = e.Offset()
	for i := range lms {
		m := &lms[i]
		if wide {
			r := stream.LinkMap64{Addr: m.addr, NameRVA: l.rva(m.rva), Ld: m.ld}
			r.Put(e.Next(stream.LinkMap64Size), e.Order())
		} else {
			r := stream.LinkMap32{Addr: uint32(m.addr), NameRVA: l.rva(m.rva), Ld: uint32(m.ld)}
			r.Put(e.Next(stream.LinkMap32Size), e.Order())
		}
	}
	for i := range lms {
		e.Align(4)
		lms[i].rva = e.Offset()
		e.String(s.bytes.bytes(lms[i].name))
	}
	off := w.begin()
	first := uint32(stream.NoLinkMaps)
	if len(lms) > 0 {
		first = l.rva(l.mapsRVA)
	}
	if wide {
		r := stream.DSODebug64{
			Version: uint32(s.dso.version), MapRVA: first, DSOCount: uint32(len(lms)), Brk: s.dso.brk, LdBase: s.dso.ldBase,
			Dynamic: s.dso.dynamic,
		}
		r.Put(e.Next(stream.DSODebug64Size), e.Order())
	} else {
		r := stream.DSODebug32{
			Version: uint32(s.dso.version), MapRVA: first, DSOCount: uint32(len(lms)), Brk: uint32(s.dso.brk),
			LdBase: uint32(s.dso.ldBase), Dynamic: uint32(s.dso.dynamic),
		}
		r.Put(e.Next(stream.DSODebug32Size), e.Order())
	}
	e.Bytes(s.bytes.bytes(s.dso.dynData))
	w.end(stream.LinuxDSODebug, off)
}

func (w *Writer) putCrashpad() {
	l, e := &w.plan, &w.enc
	tags := w.opts.Annotations
	if len(tags) == 0 {
		return
	}
	off := w.begin()
	size := 4 + uint64(len(tags))*stream.SimpleStringDictionaryEntrySize
	r := stream.CrashpadInfo{
		Version: stream.CrashpadInfoVersion, SimpleAnnotations: l.location(off+stream.CrashpadInfoSize, size),
	}
	r.Put(e.Next(stream.CrashpadInfoSize), e.Order())
	w.end(stream.CrashpadInfoStream, off)
	e.U32(uint32(len(tags)))
	for i := range tags {
		d := stream.SimpleStringDictionaryEntry{KeyRVA: l.rva(l.tags[i].key), ValueRVA: l.rva(l.tags[i].value)}
		d.Put(e.Next(stream.SimpleStringDictionaryEntrySize), e.Order())
	}
	for i := range tags {
		e.Align(4)
		l.tags[i].key = e.Offset()
		e.UTF8String(bytesOf(tags[i].Key))
		e.Align(4)
		l.tags[i].value = e.Offset()
		e.UTF8String(bytesOf(tags[i].Value))
	}
}

func (w *Writer) putUserStreams() {
	for i := range w.opts.UserStreams {
		u := &w.opts.UserStreams[i]
		off := w.begin()
		w.enc.Bytes(u.Data)
		w.end(u.Type, off)
	}
}

func (w *Writer) putSoftErrors() {
	s, l, e := &w.snap, &w.plan, &w.enc
	off := w.begin()
	l.jsonRVA = off
	e.Bytes(s.bytes.bytes(l.json))
	for range l.jsonPad / len(blanks) {
		e.Bytes(blanks[:])
	}
	w.end(stream.MozSoftErrors, off)
}

var blanks = func() (b [64]byte) {
	for i := range b {
		b[i] = ' '
	}
	return b
}()

// putMemory puts the descriptors of the memory, and the memory itself. In mode full a Memory64List covers it, whose
// ranges lie behind each other up to any size; the threads' stacks stand before them once more, since a thread can
// only refer to an offset of 32 bits.
func (w *Writer) putMemory() {
	s, l, e := &w.snap, &w.plan, &w.enc
	rs := s.memory.all()
	if w.opts.Mode != ModeFull {
		off := w.begin()
		e.U32(uint32(len(rs)))
		for i := range rs {
			d := stream.MemoryDescriptor{Start: rs[i].start, Memory: l.location(rs[i].rva, rs[i].size)}
			d.Put(e.Next(stream.MemoryDescriptorSize), e.Order())
		}
		w.end(stream.MemoryListStream, off)
		e.Align(16)
		w.putRanges(rs)
		return
	}
	e.Align(16)
	w.putRanges(rs)
	full := s.full.all()
	off := w.begin()
	h := stream.Memory64List{NumberOfMemoryRanges: uint64(len(full)), BaseRVA: l.memory}
	h.Put(e.Next(stream.Memory64ListSize), e.Order())
	for i := range full {
		d := stream.MemoryDescriptor64{Start: full[i].start, DataSize: full[i].size}
		d.Put(e.Next(stream.MemoryDescriptor64Size), e.Order())
	}
	w.end(stream.Memory64ListStream, off)
	e.Align(16)
	l.memory = e.Offset()
	for i := range full {
		if l.writing {
			w.streamMemory(&full[i])
		} else {
			e.Zero(full[i].size)
		}
	}
}

// putRanges puts captured memory. What lies behind each other in the snapshot goes to the encoder at once, which then
// need not copy it.
func (w *Writer) putRanges(rs []memoryRange) {
	s, e := &w.snap, &w.enc
	for i := 0; i < len(rs); {
		at, run := e.Offset(), rs[i].data
		rs[i].rva = at
		for i++; i < len(rs) && rs[i].data.off == run.off+run.len; i++ {
			rs[i].rva = at + uint64(run.len)
			run.len += rs[i].data.len
		}
		e.Bytes(s.bytes.bytes(run))
	}
	w.placeStacks()
}

// placeStacks lets the thread list refer into the memory that was just put.
func (w *Writer) placeStacks() {
	if w.plan.writing {
		return
	}
	s := &w.snap
	for i := range s.threads.all() {
		t := s.threads.at(i)
		t.stackRVA = 0
		if t.stackHi <= t.stackLo {
			continue
		}
		if r := s.rangeOf(t.stackLo); r != nil {
			t.stackRVA = r.rva + (t.stackLo - r.start)
		}
	}
}

// streamMemory reads a range from the target and passes it on, a chunk at a time. A page that can't be read after all
// is written as zeros, so that everything stays where the directory says.
func (w *Writer) streamMemory(r *memoryRange) {
	s, e := &w.snap, &w.enc
	page := s.target.pageSize
	for at, left := r.start, r.size; left > 0; {
		buf := w.chunk[:min(uint64(len(w.chunk)), left)]
		n := w.src.memory().read(at, buf)
		if n < len(buf) {
			// Up to the end of the page that failed.
			next := min((at+uint64(n))&^(page-1)+page-at, uint64(len(buf)))
			clear(buf[n:next])
			w.lost += next - uint64(n)
			if w.lost == next-uint64(n) {
				s.soft(opPages, 0, 0, at+uint64(n))
			}
			buf = buf[:next]
		}
		if w.opts.SanitizeAll {
			w.sanitizeChunk(buf, at)
		}
		e.Bytes(buf)
		if e.Err() != nil {
			e.Zero(left - uint64(len(buf)))
			return
		}
		at += uint64(len(buf))
		left -= uint64(len(buf))
	}
}

// putRegisterSets puts what of the threads' registers the context records have no room for. Each thread's sets lie in
// the snapshot as type, size and bytes, each padded to 8.
func (w *Writer) putRegisterSets() {
	s, l, e := &w.snap, &w.plan, &w.enc
	n := s.registerSets()
	if n == 0 {
		return
	}
	off := w.begin()
	h := stream.RegisterSets{Version: stream.RegisterSetsVersion, Count: uint32(n)}
	h.Put(e.Next(stream.RegisterSetsSize), e.Order())
	at := (off + stream.RegisterSetsSize + uint64(n)*stream.RegisterSetSize + 7) &^ 7
	for i := range s.threads.all() {
		t := s.threads.at(i)
		for b := s.bytes.bytes(t.extra); len(b) >= 8; {
			note, data, rest := s.nextRegset(b)
			r := stream.RegisterSet{ThreadID: uint32(t.tid), NoteType: note, Data: l.location(at, uint64(len(data)))}
			r.Put(e.Next(stream.RegisterSetSize), e.Order())
			at += uint64(len(data)+7) &^ 7
			b = rest
		}
	}
	w.end(stream.RegisterSetsStream, off)
	e.Align(8)
	for i := range s.threads.all() {
		for b := s.bytes.bytes(s.threads.at(i).extra); len(b) >= 8; {
			_, data, rest := s.nextRegset(b)
			e.Bytes(data)
			e.Align(8)
			b = rest
		}
	}
}

// nextRegset takes one register set off what a thread's extra holds.
func (s *snapshot) nextRegset(b []byte) (note uint32, data, rest []byte) {
	note = s.target.order.Uint32(b)
	n := min(int(s.target.order.Uint32(b[4:])), len(b)-8)
	return note, b[8 : 8+n], b[min(len(b), 8+(n+7)&^7):]
}

func (s *snapshot) registerSets() (n int) {
	for i := range s.threads.all() {
		for b := s.bytes.bytes(s.threads.at(i).extra); len(b) >= 8; n++ {
			_, _, b = s.nextRegset(b)
		}
	}
	return n
}

// bytesOf lets a string be read as bytes without a copy.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
