package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// TestDSODebugForms reads the 64-bit stream with padding, as Breakpad's header defines it, and without, as some writers write it.
// It also reads both with the dynamic section cut short, so that its size does not reveal the form.
func TestDSODebugForms(t *testing.T) {
	for _, o := range orders {
		for _, packed := range []bool{false, true} {
			for _, dynamic := range []string{"dynamic section.dynamic section.", "dynamic section.dyna", "dynamic", "x", ""} {
				got, err := open(t, dsoDump(o, packed, dynamic)).DSODebug()
				same(t, fmt.Sprintf("DSODebug of %v, packed %v, %q", o, packed, dynamic), err, got, DSODebugInfo{
					DSODebug64{1, 200, 2, 11, 12, 13},
					[]LinkMapInfo{{LinkMap64{20, 300, 30}, "lib"}, {LinkMap64{21, 300, 31}, "lib"}}, []byte(dynamic)})
			}
		}
	}
}

// dsoDump returns a file with only a LinuxDSODebug stream of a 64-bit process at 100. Its link maps are at 200 and their name is
// at 300.
func dsoDump(o binary.ByteOrder, packed bool, dynamic string) []byte {
	var out bytes.Buffer
	e := NewEncoder(nil)
	e.Reset(&out, o)
	pad := uint64(4)
	if packed {
		pad = 0
	}
	put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 1, StreamDirectoryRVA: HeaderSize})
	put(e, DirectorySize, &Directory{LinuxDSODebug, Location{uint32(36 + pad + uint64(len(dynamic))), 100}})
	e.Zero(100 - e.Offset())
	e.U32(1)
	e.U32(200)
	e.U32(2)
	e.Zero(pad)
	for _, v := range []uint64{11, 12, 13} {
		e.U64(v)
	}
	e.Bytes([]byte(dynamic))
	e.Zero(200 - e.Offset())
	for i := range uint64(2) {
		e.U64(20 + i)
		e.U32(300)
		e.Zero(pad)
		e.U64(30 + i)
	}
	e.Zero(300 - e.Offset())
	e.String([]byte("lib"))
	e.Flush()
	return out.Bytes()
}
