package symbol

import (
	"encoding/binary"
	"testing"
)

// tinyTable returns a Go table with the functions a (16 bytes) and b (32 bytes) of one file.
func tinyTable(o binary.ByteOrder, magic uint32) []byte {
	u32 := func(b []byte, v uint32) []byte {
		var t [4]byte
		o.PutUint32(t[:], v)
		return append(b, t[:]...)
	}
	const head = 8 + 8*8
	b := u32(nil, magic)
	b = append(b, 0, 0, 1, 8)
	for _, v := range []uint64{2, 1, 0, head, head + 8, head + 16, head + 24, head + 40} {
		var t [8]byte
		o.PutUint64(t[:], v)
		b = append(b, t[:]...)
	}
	b = append(b, "a\x00b\x00\x00\x00\x00\x00"...)                  // names
	b = u32(u32(b, 0), 0)                                           // units: the file at 0
	b = append(b, "a.go\x00\x00\x00\x00"...)                        // files
	b = append(b, 0, 22, 8, 2, 8, 0, 2, 48, 0, 0, 0, 0, 0, 0, 0, 0) // values: lines 10 and 11; file 0
	for _, v := range []uint32{0, 20, 16, 64, 48} {                 // where the functions start and are described
		b = u32(b, v)
	}
	for _, name := range []uint32{0, 2} {
		for _, v := range []uint32{16 * name / 2, name, 0, 0, 0, 6, 1, 0, 0, 0, 0} {
			b = u32(b, v)
		}
	}
	return append(b, make([]byte, 16)...)
}

func TestTinyPclntab(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range []uint32{pclntab118, pclntab120} {
			table := newPclntab(tinyTable(o, magic), o, 0x1000)
			if table == nil {
				t.Fatal("not read")
			}
			for addr, want := range map[uint64]string{0xfff: "", 0x1000: "a", 0x100f: "a", 0x1010: "b", 0x102f: "b", 0x1030: ""} {
				fn, ok := table.find(addr)
				if ok != (want != "") || ok && table.name(fn) != want {
					t.Errorf("%#x: %v, want %q", addr, ok, want)
				}
			}
			fn, _ := table.find(0x1001)
			for addr, want := range map[uint64]int{0x1001: 10, 0x1007: 10, 0x1008: 11} {
				if file, line := table.line(fn, addr); file != "a.go" || line != want {
					t.Errorf("%#x: %s:%d, want line %d", addr, file, line, want)
				}
			}
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 7), make([]byte, 100), tinyTable(binary.LittleEndian, 0xfffffffb)} {
		if newPclntab(b, binary.LittleEndian, 0x1000) != nil {
			t.Errorf("%x was taken", b)
		}
	}
}

func FuzzPclntab(f *testing.F) {
	f.Add(tinyTable(binary.LittleEndian, pclntab120), uint64(0x1008))
	f.Add(tinyTable(binary.LittleEndian, pclntab116), uint64(0x1008))
	f.Fuzz(func(t *testing.T, b []byte, addr uint64) {
		table := newPclntab(b, binary.LittleEndian, 0x1000)
		if table == nil {
			return
		}
		for _, a := range []uint64{addr, 0x1000, 0x1010} {
			if fn, ok := table.find(a); ok {
				if fn.entry > a || len(table.name(fn)) > MaxName {
					t.Fatalf("%#x: function at %#x", a, fn.entry)
				}
				table.line(fn, a)
			}
		}
	})
}
