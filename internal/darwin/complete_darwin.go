package darwin

import (
	"minidump/internal/arena"
	"minidump/internal/snapshot"
	"minidump/mach"
	"minidump/macho"
	"minidump/stream"
)

// Complete adds what can be read while the task runs again.
func (l *Source) Complete(s *snapshot.Snapshot) {
	l.readProcess(s)
	if l.golist != nil {
		l.golist.Complete(s, &l.mem)
	}
	l.annotations = l.annotations[:0]
	l.readModules(s)
	if s.Want.Omit&snapshot.OmitHandles == 0 {
		l.readHandles(s)
	}
	l.addAnnotations(s)
	l.addBootArgs(s)
	l.addBreakpadInfo(s)
}

// readProcess records the start time and the CPU times of the process.
func (l *Source) readProcess(s *snapshot.Snapshot) {
	s.Proc.MaxMHz, s.Proc.CurrentMHz = megahertz(l.facts.maximum), megahertz(l.facts.frequency)
	var b mach.ProcBSDInfo
	if b.Read(int(l.pid)) != nil {
		s.Soft(snapshot.OpStat, 0, 0, 0)
		return
	}
	s.Proc.PPID, s.Proc.CreateTime = int32(b.PPID), uint32(b.StartSec)
	var ended mach.MachTaskBasicInfo
	var live mach.TaskThreadTimesInfo
	if kr := ended.Read(l.task); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpStat, int32(kr), 0, 0)
	}
	if kr := live.Read(l.task); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpStat, int32(kr), 0, 0)
	}
	s.Proc.UserTime = uint32((ended.UserTime.Micros() + live.UserTime.Micros()) / 1e6)
	s.Proc.KernelTime = uint32((ended.SystemTime.Micros() + live.SystemTime.Micros()) / 1e6)
}

// addAnnotation records what an image says about a crash. The image is the one open in l.image.
func (l *Source) addAnnotation(s *snapshot.Snapshot, m *snapshot.Module) {
	c, ok := l.image.CrashInfo()
	if !ok || len(l.annotations) == maxAnnotations {
		return
	}
	if c.Message|c.SignatureString|c.Backtrace|c.Message2|c.AbortCause == 0 {
		return
	}
	a := foundAnnotation{info: c, path: m.Name}
	for i, addr := range [...]uint64{c.Message, c.SignatureString, c.Backtrace, c.Message2} {
		a.texts[i] = l.readText(s, addr, maxAnnotationBytes-1)
	}
	l.annotations = append(l.annotations, a)
}

// A foundAnnotation is an annotation whose texts are in the snapshot.
type foundAnnotation struct {
	info  macho.CrashInfo
	path  arena.Span
	texts [4]arena.Span
}

func (f *foundAnnotation) get(s *snapshot.Snapshot) annotation {
	a := annotation{thread: f.info.Thread, dialogMode: f.info.DialogMode, abortCause: f.info.AbortCause}
	a.texts[0] = s.Bytes.Get(f.path)
	for i := range f.texts {
		a.texts[i+1] = s.Bytes.Get(f.texts[i])
	}
	return a
}

// addAnnotations writes the MozMacosCrashInfo stream.
func (l *Source) addAnnotations(s *snapshot.Snapshot) {
	var offsets [maxAnnotations + 1]uint32
	n, size := 0, uint32(crashInfoHeader)
	for i := range l.annotations {
		a := l.annotations[i].get(s)
		if a.empty() {
			continue
		}
		l.annotations[n] = l.annotations[i]
		offsets[n] = size
		size += uint32(a.size())
		n++
	}
	if n == 0 {
		return
	}
	offsets[n] = size
	b, rvas := l.addStream(s, stream.MozMacosCrashInfo, int(size), n)
	if b == nil {
		return
	}
	putCrashInfoHeader(b, offsets[:n+1])
	for i := range n {
		a := l.annotations[i].get(s)
		a.put(b[offsets[i]:])
		order.PutUint32(rvas[4*i:], uint32(16+8*i))
	}
}

// addStream adds a complete stream of size bytes with n offsets that refer to other places in it.
func (l *Source) addStream(s *snapshot.Snapshot, t stream.Type, size, n int) (b, rvas []byte) {
	st := s.Streams.Add()
	if st == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return nil, nil
	}
	st.Type = t
	if st.Data, b = s.Bytes.Alloc(size); b == nil {
		s.Streams.N--
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return nil, nil
	}
	if n > 0 {
		if st.RVAs, rvas = s.Bytes.Alloc(4 * n); rvas == nil {
			s.Streams.N--
			s.Soft(snapshot.OpTruncated, 0, 0, 0)
			return nil, nil
		}
	}
	return b, rvas
}

// addBootArgs writes the MozMacosBootargs stream: MINIDUMP_MAC_BOOTARGS, which is the type of the stream as uint32
// and the offset of a text as uint64, followed by the text.
func (l *Source) addBootArgs(s *snapshot.Snapshot) {
	n := text("kern.bootargs", l.path)
	if n == 0 {
		return
	}
	args := l.path[:n]
	b, rvas := l.addStream(s, stream.MozMacosBootargs, bootArgsText+stringSize(args), 1)
	if b == nil {
		return
	}
	putBootArgs(b, args)
	order.PutUint32(rvas, bootArgsRVA)
}

// addBreakpadInfo writes the BreakpadInfo stream, by which readers of macOS dumps know the thread that wrote the dump.
func (l *Source) addBreakpadInfo(s *snapshot.Snapshot) {
	r := stream.BreakpadInfo{Validity: stream.MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID,
		RequestingThreadID: uint32(s.Proc.Blamed)}
	if l.own {
		r.Validity |= stream.MD_BREAKPAD_INFO_VALID_DUMP_THREAD_ID
		r.DumpThreadID = uint32(l.dumper)
	}
	if b, _ := l.addStream(s, stream.BreakpadInfoStream, stream.BreakpadInfoSize, 0); b != nil {
		r.Put(b, order)
	}
}
