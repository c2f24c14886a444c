package encode

import (
	"bytes"
	"encoding/binary"
	"testing"

	"minidump/context"
	"minidump/internal/snapshot"
	"minidump/stream"
)

// nativeSnapshot returns a snapshot with the fields that the sources of systems other than Linux fill in.
func nativeSnapshot(t *testing.T) (*snapshot.Snapshot, *File) {
	t.Helper()
	s, f := new(snapshot.Snapshot), new(File)
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Release)
	if err := f.Init(s, make([]byte, BufferSize)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Release)
	s.Target = snapshot.Target{Arch: context.AMD64, Order: binary.LittleEndian, PageSize: 4096}
	s.System.Info.ProcessorArchitecture = stream.MD_CPU_ARCHITECTURE_AMD64
	record := make([]byte, context.AMD64.ContextSize())
	record[48] = 0x1f
	*s.Threads.Add() = snapshot.Thread{TID: 7, HasRegs: true, Context: s.Put(record), Teb: 0x7ff000, SuspendCount: 1, PriorityClass: 0x20, Priority: 0xfffffffe}
	fixed := make([]byte, stream.FixedFileInfoSize)
	binary.LittleEndian.PutUint32(fixed, stream.VS_FFI_SIGNATURE)
	binary.LittleEndian.PutUint32(fixed[8:], 0x00020003)
	*s.Modules.Add() = snapshot.Module{Base: 0x140000000, End: 0x140010000, Name: s.Put([]byte(`C:\x.exe`)), Fixed: s.Put(fixed), TimeStamp: 0x1234, CheckSum: 0x5678}
	*s.Regions.Add() = stream.MemoryInfo{BaseAddress: 0x2000, AllocationBase: 0x1000, AllocationProtect: 4, RegionSize: 0x3000, State: 0x2000, Type: 0x20000}
	*s.Handles.Add() = snapshot.Handle{FD: 0x44, Mode: 2, NoType: true, Type: s.Put([]byte("Event")), Access: 0x1f0003, HandleCount: 3, PointerCount: 4}
	misc := make([]byte, stream.MiscInfo5Size)
	(&stream.MiscInfo{SizeOfInfo: stream.MiscInfo5Size, Flags1: 1, ProcessID: 99}).Put(misc, binary.LittleEndian)
	s.Misc = s.Put(misc)
	*s.Streams.Add() = snapshot.Stream{Type: stream.BreakpadInfoStream, Data: s.Put(make([]byte, 12))}
	*s.Streams.Add() = snapshot.Stream{Type: 0x12340001, Data: s.Put(make([]byte, 2000))}
	s.Crash.Absent = true
	return s, f
}

// Fields that only systems other than Linux fill in are written unchanged.
func TestNativeFields(t *testing.T) {
	_, f := nativeSnapshot(t)
	var out bytes.Buffer
	if err := f.Write(&out, nil); err != nil {
		t.Fatal(err)
	}
	d, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range stream.Problems(d) {
		t.Error(problem)
	}
	ths, err := d.Threads()
	if err != nil || len(ths) != 1 || ths[0].Teb != 0x7ff000 || ths[0].SuspendCount != 1 || ths[0].PriorityClass != 0x20 ||
		int32(ths[0].Priority) != -2 || ths[0].Context.DataSize != 1232 {
		t.Errorf("%+v %v", ths, err)
	}
	mods, err := d.Modules()
	if err != nil || len(mods) != 1 || mods[0].TimeDateStamp != 0x1234 || mods[0].CheckSum != 0x5678 || mods[0].VersionInfo.FileVersionMS != 0x20003 {
		t.Errorf("%+v %v", mods, err)
	}
	info, err := d.MemoryInfo()
	if err != nil || len(info) != 1 || info[0].AllocationBase != 0x1000 || info[0].State != 0x2000 {
		t.Errorf("%+v %v", info, err)
	}
	handles, err := d.Handles()
	if err != nil || len(handles) != 1 || handles[0].Handle != 0x44 || handles[0].GrantedAccess != 0x1f0003 || handles[0].HandleCount != 3 ||
		handles[0].PointerCount != 4 {
		t.Errorf("%+v %v", handles, err)
	}
	if misc, err := d.MiscInfo(); err != nil || misc.ProcessID != 99 || misc.SizeOfInfo != stream.MiscInfo5Size {
		t.Errorf("%+v %v", misc, err)
	}
	if _, err := d.Stream(stream.ExceptionStream); err == nil {
		t.Error("an exception stream without an exception")
	}
}

// Streams from the source are dropped at the size limit, except BreakpadInfo.
func TestLimitDropsStreams(t *testing.T) {
	s, f := nativeSnapshot(t)
	f.renderSoftErrors()
	s.Want.Limit = f.measure() - 500
	var out bytes.Buffer
	if err := f.Write(&out, nil); err != nil {
		t.Fatal(err)
	}
	d, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stream(0x12340001); err == nil {
		t.Error("the stream is still there")
	}
	if _, err := d.Stream(stream.BreakpadInfoStream); err != nil {
		t.Error(err)
	}
	if uint64(out.Len()) > s.Want.Limit {
		t.Errorf("%d bytes, %d allowed", out.Len(), s.Want.Limit)
	}
}
