package encode

import (
	"encoding/binary"
	"unsafe"

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
	if s.Proc.CreateTime != 0 { // 0 means unknown, as for a core file; readers would show 1970
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

// rawTypes lists the types of the text streams.
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

// putStreams puts the streams that the source wrote.
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

// relocate adds base to the offsets in data at the places listed in rvas.
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

// bytesOf returns the bytes of a string without copying. They must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
