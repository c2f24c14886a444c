package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
)

// memoryFile returns a file of 256 bytes with the given ranges. Each byte is its own offset.
func memoryFile(t *testing.T, list []MemoryDescriptor, base uint64, list64 []MemoryDescriptor64) *File {
	var out bytes.Buffer
	e := NewEncoder(nil)
	e.Reset(&out, binary.LittleEndian)
	put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 2, StreamDirectoryRVA: 512})
	for i := e.Offset(); i < 256; i++ {
		e.Bytes([]byte{byte(i)})
	}
	e.Zero(256)
	size := uint32(4 + len(list)*MemoryDescriptorSize)
	put(e, DirectorySize, &Directory{MemoryListStream, Location{size, 600}})
	put(e, DirectorySize, &Directory{Memory64ListStream, Location{uint32(16 + len(list64)*16), 600 + size}})
	e.Zero(600 - e.Offset())
	e.U32(uint32(len(list)))
	for i := range list {
		put(e, MemoryDescriptorSize, &list[i])
	}
	put(e, Memory64ListSize, &Memory64List{uint64(len(list64)), base})
	for i := range list64 {
		put(e, MemoryDescriptor64Size, &list64[i])
	}
	e.Flush()
	return open(t, out.Bytes())
}

func TestMemoryRanges(t *testing.T) {
	d := func(addr uint64, size, rva uint32) MemoryDescriptor {
		return MemoryDescriptor{addr, Location{size, rva}}
	}
	const top = 1<<64 - 8
	for _, test := range []struct {
		name   string
		list   []MemoryDescriptor
		base   uint64
		list64 []MemoryDescriptor64
		want   []MemoryRange
		err    error
	}{
		{"none", nil, 0, nil, nil, nil},
		{"sorted", []MemoryDescriptor{d(300, 10, 50), d(100, 10, 70)}, 0, nil,
			[]MemoryRange{{100, 10, 70}, {300, 10, 50}}, nil},
		{"empty", []MemoryDescriptor{d(300, 0, 50), d(100, 10, 70)}, 0, nil, []MemoryRange{{100, 10, 70}}, nil},
		{"touching", []MemoryDescriptor{d(100, 10, 50), d(110, 10, 70)}, 0, nil,
			[]MemoryRange{{100, 10, 50}, {110, 10, 70}}, nil},
		{"overlapping", []MemoryDescriptor{d(105, 10, 70), d(100, 10, 50)}, 0, nil,
			[]MemoryRange{{100, 10, 50}, {110, 5, 75}}, nil},
		{"contained", []MemoryDescriptor{d(105, 2, 70), d(100, 10, 50)}, 0, nil, []MemoryRange{{100, 10, 50}}, nil},
		{"twice", []MemoryDescriptor{d(100, 10, 70), d(100, 10, 50)}, 0, nil, []MemoryRange{{100, 10, 70}}, nil},
		{"both lists", []MemoryDescriptor{d(100, 10, 70)}, 80, []MemoryDescriptor64{{200, 3}, {50, 4}},
			[]MemoryRange{{50, 4, 83}, {100, 10, 70}, {200, 3, 80}}, nil},
		{"top of the address space", []MemoryDescriptor{d(top, 8, 70)}, 0, nil, []MemoryRange{{top, 8, 70}}, nil},
		{"over the top", []MemoryDescriptor{d(top, 9, 70)}, 0, nil, []MemoryRange{{top, 8, 70}}, ErrFormat},
		{"cut by the end of the file", []MemoryDescriptor{d(100, 100, 600)}, 0, nil,
			[]MemoryRange{{100, 36, 600}}, ErrTruncated},
		{"behind the file", []MemoryDescriptor{d(100, 100, 1<<31), d(7, 1, 90)}, 0, nil,
			[]MemoryRange{{7, 1, 90}}, ErrTruncated},
		{"64 bits", nil, 80, []MemoryDescriptor64{{100, 1<<64 - 1}, {300, 2}}, nil, ErrTruncated},
		{"64 bits of base", nil, 1<<64 - 1, []MemoryDescriptor64{{100, 2}, {300, 2}}, nil, ErrTruncated},
	} {
		f := memoryFile(t, test.list, test.base, test.list64)
		got, err := f.MemoryRanges()
		if test.name == "64 bits" { // the part that exists reaches to the end of the file
			if len(got) != 1 || got[0] != (MemoryRange{100, f.Size() - 80, 80}) {
				t.Errorf("%s: %v", test.name, got)
			}
			got = nil
		}
		if len(got) != len(test.want) || len(got) > 0 && !reflect.DeepEqual(got, test.want) || !errors.Is(err, test.err) {
			t.Errorf("%s:\n got %v, %v\nwant %v", test.name, got, err, test.want)
		}
	}
}

func TestReadMemory(t *testing.T) {
	const top = 1<<64 - 8
	f := memoryFile(t, []MemoryDescriptor{{100, Location{10, 50}}, {110, Location{10, 70}}, {130, Location{10, 90}},
		{top, Location{8, 200}}, {0, Location{4, 240}}}, 0, nil)
	for _, test := range []struct {
		addr uint64
		size int
		want []byte
		err  error
	}{
		{100, 10, []byte{50, 51, 52, 53, 54, 55, 56, 57, 58, 59}, nil},
		{108, 4, []byte{58, 59, 70, 71}, nil},
		{119, 3, []byte{79}, ErrNoMemory},
		{120, 1, nil, ErrNoMemory},
		{129, 2, nil, ErrNoMemory},
		{139, 1, []byte{99}, nil},
		{50, 0, nil, nil},
		{1 << 63, 1, nil, ErrNoMemory},
		{top + 6, 2, []byte{206, 207}, nil},
		{top + 6, 3, []byte{206, 207}, ErrNoMemory}, // the address space does not wrap around to 0
		{0, 4, []byte{240, 241, 242, 243}, nil},
	} {
		p := make([]byte, test.size)
		n, err := f.ReadMemory(test.addr, p)
		if !bytes.Equal(p[:n], test.want) || err != test.err {
			t.Errorf("%d bytes at %d: %v, %v", test.size, test.addr, p[:n], err)
		}
	}
	f.r = bytes.NewReader(nil)
	if n, err := f.ReadMemory(100, make([]byte, 4)); n != 0 || !errors.Is(err, ErrTruncated) {
		t.Errorf("reader that ends: %d, %v", n, err)
	}
	f.r = failingReader{}
	if n, err := f.ReadMemory(100, make([]byte, 4)); n != 0 || err == nil || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("reader that fails: %d, %v", n, err)
	}
}

type failingReader struct{}

func (failingReader) ReadAt(p []byte, off int64) (int, error) { return 0, io.ErrNoProgress }
