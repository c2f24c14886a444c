package encode

import (
	"encoding/binary"
	"unsafe"

	"minidump/context"
	"minidump/stream"

	"minidump/internal/snapshot"
)

func (f *File) putSystemInfo() {
	s, e := f.snap, &f.enc
	off := f.begin()
	info := s.System.Info
	info.CSDVersionRVA = f.rva(f.at.system)
	info.Put(e.Next(stream.SystemInfoSize), e.Order())
	f.end(stream.SystemInfoStream, off)
	e.Align(4)
	f.at.system = e.Offset()
	e.String(s.Bytes.Get(s.System.CSD))
}

func (f *File) putMiscInfo() {
	s, e := f.snap, &f.enc
	off := f.begin()
	if s.Misc.Len > 0 {
		e.Bytes(s.Bytes.Get(s.Misc))
		f.end(stream.MiscInfoStream, off)
		return
	}
	m := stream.MiscInfo2{MiscInfo: stream.MiscInfo{
		SizeOfInfo: stream.MiscInfo2Size, Flags1: stream.MINIDUMP_MISC1_PROCESS_ID,
		ProcessID: uint32(s.Proc.PID), ProcessCreateTime: s.Proc.CreateTime, ProcessUserTime: s.Proc.UserTime,
		ProcessKernelTime: s.Proc.KernelTime,
	}, ProcessorMaxMHz: s.Proc.MaxMHz, ProcessorCurrentMHz: s.Proc.CurrentMHz}
	if s.Proc.MaxMHz != 0 || s.Proc.CurrentMHz != 0 {
		m.Flags1 |= stream.MINIDUMP_MISC1_PROCESSOR_POWER_INFO
	}
	if s.Proc.CreateTime != 0 { // 0 is not known, as for a core file; readers would show 1970
		m.Flags1 |= stream.MINIDUMP_MISC1_PROCESS_TIMES
	}
	m.Put(e.Next(stream.MiscInfo2Size), e.Order())
	f.end(stream.MiscInfoStream, off)
}

func (f *File) putException() {
	s, e := f.snap, &f.enc
	c := &s.Crash
	if c.Absent {
		return
	}
	off := f.begin()
	r := stream.Exception{ThreadID: uint32(s.Proc.Blamed), Context: f.at.crash}
	r.Code, r.Flags, r.Address = c.Code, c.Flags, c.Address
	r.NumberParameters, r.Information = c.NumParams, c.Params
	r.Put(e.Next(stream.ExceptionSize), e.Order())
	f.end(stream.ExceptionStream, off)
}

// rawTypes are the types of the text streams.
var rawTypes = [snapshot.NumRaw]stream.Type{
	snapshot.RawCPUInfo:    stream.LinuxCPUInfo,
	snapshot.RawStatus:     stream.LinuxProcStatus,
	snapshot.RawLSBRelease: stream.LinuxLSBRelease,
	snapshot.RawCmdline:    stream.LinuxCmdLine,
	snapshot.RawEnviron:    stream.LinuxEnviron,
	snapshot.RawAuxv:       stream.LinuxAuxv,
	snapshot.RawMaps:       stream.LinuxMaps,
	snapshot.RawLimits:     stream.MozLinuxLimits,
}

func (f *File) putRaw() {
	s := f.snap
	for i, sp := range s.Raw {
		if sp.Len > 0 {
			off := f.begin()
			f.enc.Bytes(s.Bytes.Get(sp))
			f.end(rawTypes[i], off)
		}
	}
}

// putCrashpad puts CrashpadInfo, without annotations too: Crashpad's reader refuses a dump that has a module list and no
// CrashpadInfo (ProcessSnapshotMinidump::InitializeModules).
func (f *File) putCrashpad() {
	e := &f.enc
	n := f.countAnnotations()
	off := f.begin()
	r := stream.CrashpadInfo{Version: stream.CrashpadInfoVersion}
	if n > 0 {
		r.SimpleAnnotations = f.location(off+stream.CrashpadInfoSize, 4+uint64(n)*stream.SimpleStringDictionaryEntrySize)
	}
	r.Put(e.Next(stream.CrashpadInfoSize), e.Order())
	f.end(stream.CrashpadInfoStream, off)
	if n == 0 {
		return
	}
	e.U32(uint32(n))
	for i := range n {
		d := stream.SimpleStringDictionaryEntry{KeyRVA: f.rva(f.at.annotations[i].key), ValueRVA: f.rva(f.at.annotations[i].value)}
		d.Put(e.Next(stream.SimpleStringDictionaryEntrySize), e.Order())
	}
	for i := range n {
		tag := f.annotation(i)
		e.Align(4)
		f.at.annotations[i].key = e.Offset()
		e.UTF8String(bytesOf(tag.Key))
		e.Align(4)
		f.at.annotations[i].value = e.Offset()
		e.UTF8String(bytesOf(tag.Value))
	}
}

// diedOf is the key of the annotation that names the signal that killed the process at last, where the exception is
// what led to that.
const diedOf = "died-of"

// countAnnotations returns how many annotations there are: the caller's, and one about the signal that the process died
// of.
func (f *File) countAnnotations() int {
	tags := f.snap.Want.Annotations
	if f.snap.Crash.DiedOf == 0 {
		return len(tags)
	}
	for i := range tags {
		if tags[i].Key == diedOf {
			return len(tags)
		}
	}
	return len(tags) + 1
}

// annotation returns the i-th annotation.
func (f *File) annotation(i int) snapshot.Annotation {
	if tags := f.snap.Want.Annotations; i < len(tags) {
		return tags[i]
	}
	return snapshot.Annotation{Key: diedOf, Value: context.SignalNameArch(f.snap.Target.Arch, f.snap.Crash.DiedOf)}
}

// putStreams puts the streams that a source has made.
func (f *File) putStreams() {
	s, o := f.snap, f.enc.Order()
	for i := range s.Streams.All() {
		st := s.Streams.At(i)
		data, rvas := s.Bytes.Get(st.Data), s.Bytes.Get(st.RVAs)
		off := f.begin()
		if f.rva(off + uint64(len(data))); f.writing {
			relocate(data, rvas, uint32(off), o)
		}
		f.enc.Bytes(data)
		if f.writing { // restore the snapshot's copy
			relocate(data, rvas, -uint32(off), o)
		}
		f.end(st.Type, off)
	}
}

// relocate adds base to the offsets in data at the places that rvas lists.
func relocate(data, rvas []byte, base uint32, o binary.ByteOrder) {
	for ; len(rvas) >= 4; rvas = rvas[4:] {
		at := data[o.Uint32(rvas):]
		o.PutUint32(at, o.Uint32(at)+base)
	}
}

func (f *File) putUserStreams() {
	for i := range f.snap.Want.UserStreams {
		u := &f.snap.Want.UserStreams[i]
		off := f.begin()
		f.enc.Bytes(u.Data)
		f.end(u.Type, off)
	}
}

func (f *File) putSoftErrors() {
	s, e := f.snap, &f.enc
	off := f.begin()
	e.Bytes(s.Bytes.Get(f.json))
	f.end(stream.MozSoftErrors, off)
}

// bytesOf returns the bytes of a string without a copy. They must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
