package procfs

import (
	"math/rand"
	"reflect"
	"strings"
	"testing"
)

var smapsText = `00400000-00401000 r-xp 00000000 fe:00 42                                 /bin/x
Size:                  4 kB
AnonHugePages:         0 kB
VmFlags: rd ex mr mw me 
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 
Size:                  4 kB
VmFlags: rd wr mr mw me dd ac 
7f0000001000-7f0000002000 rw-s 00000000 00:06 7                          /dev/dri/` + longName + `
FilePmdMapped:         0 kB
VmFlags: rd wr sh mr mw me ms pf io de dd 
7f0000002000-7f0000003000 rw-p 00000000 00:00 0                          [anon:dd io]
VmFlags: rd wr mr mw me um nosuchflag ht 
`

var longName = strings.Repeat("long/", 100)

func TestSmaps(t *testing.T) {
	want := []FlaggedRange{
		{0x7f0000000000, 0x7f0000001000, VMDontDump},
		{0x7f0000001000, 0x7f0000002000, VMDontDump | VMIO | VMPFNMap},
		{0x7f0000002000, 0x7f0000003000, VMUserfault | VMHugeTLB},
	}
	r := &SmapsReader{Want: ^VMFlags(0), Out: make([]FlaggedRange, 8)}
	for round := range 200 {
		r.Reset()
		for rest := []byte(smapsText); len(rest) > 0; {
			n := len(rest)
			if round > 0 {
				n = min(n, 1+rand.Intn(round))
			}
			r.Write(rest[:n])
			rest = rest[n:]
		}
		if got := r.Out[:r.N]; !reflect.DeepEqual(got, want) || r.More || r.Until != 0x7f0000003000 {
			t.Fatalf("%x, %v, until %#x", got, r.More, r.Until)
		}
	}
	r.Want, r.Out = VMDontDump, make([]FlaggedRange, 1)
	r.Reset()
	r.Write([]byte(smapsText))
	if r.N != 1 || !r.More || r.Out[0] != want[0] {
		t.Errorf("%x, %v", r.Out, r.More)
	}
	for _, c := range []struct {
		start, end uint64
		want       VMFlags
	}{
		{0, 0x7f0000000000, 0}, {0, 0x7f0000000001, VMDontDump}, {0x7f0000000fff, 0x7f0000001000, VMDontDump},
		{0x7f0000001000, 0x7f0000001001, VMDontDump | VMIO | VMPFNMap}, {0x7f0000003000, ^uint64(0), 0}, {0, ^uint64(0), 0x1f},
	} {
		if got := FlagsIn(want, c.start, c.end); got != c.want {
			t.Errorf("%x to %x: %#x, want %#x", c.start, c.end, got, c.want)
		}
	}
}

func FuzzSmaps(f *testing.F) {
	f.Add([]byte(smapsText), uint8(7))
	f.Add([]byte("0-1 rwxp 0 0:0 0\nVmFlags:dd"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		whole := &SmapsReader{Want: ^VMFlags(0), Out: make([]FlaggedRange, 8)}
		whole.Write(b)
		parts := &SmapsReader{Want: ^VMFlags(0), Out: make([]FlaggedRange, 8)}
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1+int(piece))
			parts.Write(rest[:n])
			rest = rest[n:]
		}
		for i := range whole.N {
			if r := whole.Out[i]; r.Start >= r.End || r.Flags == 0 {
				t.Errorf("range %x", r)
			}
		}
		// No kernel writes columns of more than the 192 bytes that are kept of a line.
		for line := range strings.Lines(string(b)) {
			if len(line) > 150 {
				return
			}
		}
		if whole.N != parts.N || whole.More != parts.More || whole.Until != parts.Until || !reflect.DeepEqual(whole.Out, parts.Out) {
			t.Errorf("whole %+v, in parts %+v", whole, parts)
		}
	})
}
