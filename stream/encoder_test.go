package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand"
	"strings"
	"testing"
	"unicode/utf16"
)

// encoded returns the bytes that put writes, through a buffer of the minimum size with only room bytes free.
func encoded(t *testing.T, o binary.ByteOrder, room int, put func(e *Encoder)) []byte {
	t.Helper()
	var out bytes.Buffer
	e := NewEncoder(make([]byte, MinBuffer))
	e.Reset(&out, o)
	e.Zero(uint64(MinBuffer - room))
	put(e)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if e.Offset() != uint64(out.Len()) {
		t.Errorf("Offset is %d after %d bytes", e.Offset(), out.Len())
	}
	counter := NewEncoder(nil)
	counter.Reset(nil, o)
	counter.Zero(uint64(MinBuffer - room))
	put(counter)
	if err := counter.Flush(); err != nil || counter.Offset() != e.Offset() {
		t.Errorf("counted %d bytes, put %d, %v", counter.Offset(), e.Offset(), err)
	}
	return out.Bytes()[MinBuffer-room:]
}

// TestEncoderBytes compares the output of each method, wherever in it the buffer ends.
func TestEncoderBytes(t *testing.T) {
	id := GUID{0x00112233, 0x4455, 0x6677, [8]byte{0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}
	for _, test := range []struct {
		name        string
		put         func(e *Encoder)
		little, big string
	}{
		{"U16", func(e *Encoder) { e.U16(0x0102) }, "0201", "0102"},
		{"U32", func(e *Encoder) { e.U32(0x01020304) }, "04030201", "01020304"},
		{"U64", func(e *Encoder) { e.U64(0x0102030405060708) }, "0807060504030201", "0102030405060708"},
		{"Bytes", func(e *Encoder) { e.Bytes([]byte{1, 2, 3}); e.Bytes(nil) }, "010203", "010203"},
		{"Zero", func(e *Encoder) { e.Zero(3); e.Zero(0) }, "000000", "000000"},
		{"Next", func(e *Encoder) { copy(e.Next(4), "ab") }, "61620000", "61620000"},
		{"Raw", func(e *Encoder) { copy(e.Raw(2), "ab") }, "6162", "6162"},
		{"record", func(e *Encoder) { (&Location{1, 2}).Put(e.Next(LocationSize), e.Order()) },
			"0100000002000000", "0000000100000002"},
		{"String", func(e *Encoder) { e.String([]byte("aé€𝄞")) }, // U+61 U+e9 U+20ac U+1d11e
			"0a000000" + "6100e900ac2034d81edd" + "0000", "0000000a" + "006100e920acd834dd1e" + "0000"},
		{"empty String", func(e *Encoder) { e.String(nil) }, "000000000000", "000000000000"},
		{"String with NUL", func(e *Encoder) { e.String([]byte("a\x00b")) },
			"06000000" + "610000006200" + "0000", "00000006" + "006100000062" + "0000"},
		{"String, a bad byte", func(e *Encoder) { e.String([]byte("a\xffb")) },
			"06000000" + "6100fdff6200" + "0000", "00000006" + "0061fffd0062" + "0000"},
		{"String, a character cut off", func(e *Encoder) { e.String([]byte("\xe2\x82")) },
			"04000000" + "fdfffdff" + "0000", "00000004" + "fffdfffd" + "0000"},
		{"String, a surrogate", func(e *Encoder) { e.String([]byte("\xed\xa0\x80")) },
			"06000000" + "fdfffdfffdff" + "0000", "00000006" + "fffdfffdfffd" + "0000"},
		{"UTF8String", func(e *Encoder) { e.UTF8String([]byte("aé")) },
			"03000000" + "61c3a9" + "00", "00000003" + "61c3a9" + "00"},
		{"CVELF", func(e *Encoder) { e.CVELF([]byte{1, 2, 3}) }, "4c457042" + "010203", "4270454c" + "010203"},
		{"CVPDB70", func(e *Encoder) { e.CVPDB70(&id, 0x1a, []byte("x.pdb")) },
			"52534453" + "33221100554477668899aabbccddeeff" + "1a000000" + "782e70646200",
			"53445352" + "00112233445566778899aabbccddeeff" + "0000001a" + "782e70646200"},
	} {
		for room := 0; room < 40; room++ {
			for i, want := range []string{test.little, test.big} {
				if got := hex.EncodeToString(encoded(t, orders[i], room, test.put)); got != want {
					t.Errorf("%s, %v, room for %d:\n got %s\nwant %s", test.name, orders[i], room, got, want)
				}
			}
		}
	}
}

func TestEncoderAlign(t *testing.T) {
	e := NewEncoder(nil)
	e.Reset(nil, binary.LittleEndian)
	for _, step := range []struct{ put, want uint64 }{{0, 0}, {1, 8}, {7, 16}, {8, 24}} {
		e.Zero(step.put)
		if e.Align(8); e.Offset() != step.want {
			t.Errorf("at %d, not %d", e.Offset(), step.want)
		}
	}
}

// TestEncoderSizes compares the sizes computed beforehand with the output, on random text.
func TestEncoderSizes(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	e := NewEncoder(nil)
	size := func(put func()) uint64 {
		e.Reset(io.Discard, binary.LittleEndian)
		put()
		return e.Offset()
	}
	for range 2000 {
		text := make([]byte, random.Intn(40))
		for i := range text {
			text[i] = byte(random.Intn(256))
		}
		if random.Intn(2) == 0 {
			text = []byte(strings.ToValidUTF8(string(text), "😀"))
		}
		want := 4 + 2*uint64(len(utf16.Encode([]rune(string(text))))) + 2
		if got := size(func() { e.String(text) }); got != want || StringSize(text) != want {
			t.Fatalf("String(%q): %d bytes, said to be %d, want %d", text, got, StringSize(text), want)
		}
		if got := size(func() { e.UTF8String(text) }); got != UTF8StringSize(text) {
			t.Fatalf("UTF8String(%q): %d bytes, said to be %d", text, got, UTF8StringSize(text))
		}
		if got := size(func() { e.CVELF(text) }); got != CVELFSize(text) {
			t.Fatalf("CVELF(%q): %d bytes, said to be %d", text, got, CVELFSize(text))
		}
		if got := size(func() { e.CVPDB70(&GUID{}, 0, text) }); got != CVPDB70Size(text) {
			t.Fatalf("CVPDB70(%q): %d bytes, said to be %d", text, got, CVPDB70Size(text))
		}
	}
	long := bytes.Repeat([]byte("x"), MaxString+10)
	if got := size(func() { e.String(long) }); got != 4+2*MaxString+2 || got != StringSize(long) {
		t.Errorf("a long String has %d bytes, said to be %d", got, StringSize(long))
	}
	if got := size(func() { e.UTF8String(long) }); got != 4+MaxString+1 || got != UTF8StringSize(long) {
		t.Errorf("a long UTF8String has %d bytes, said to be %d", got, UTF8StringSize(long))
	}
}

// recorder records the sizes of the writes that it receives.
type recorder struct {
	bytes.Buffer
	sizes []int
}

func (r *recorder) Write(p []byte) (int, error) {
	r.sizes = append(r.sizes, len(p))
	return r.Buffer.Write(p)
}

// TestEncoderLarge checks that memory larger than the buffer is written by one write, in the right place.
func TestEncoderLarge(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), MinBuffer/8)
	var out recorder
	e := NewEncoder(make([]byte, MinBuffer))
	e.Reset(&out, binary.LittleEndian)
	e.Bytes([]byte("before"))
	e.Bytes(large)
	e.Bytes([]byte("after"))
	e.Zero(3 * MinBuffer)
	e.Bytes([]byte("end"))
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "before" + string(large) + "after" + string(make([]byte, 3*MinBuffer)) + "end"
	if out.String() != want || e.Offset() != uint64(len(want)) {
		t.Errorf("%d bytes are not the %d that were put", out.Len(), len(want))
	}
	if out.sizes[0] != 6 || out.sizes[1] != len(large) {
		t.Errorf("writes of %v bytes", out.sizes)
	}
	for _, n := range out.sizes[2:] {
		if n > MinBuffer {
			t.Errorf("writes of %v bytes", out.sizes)
		}
	}
}

// TestEncoderNext checks that Next returns zeroed bytes and none beyond them, also in a buffer that was used before.
func TestEncoderNext(t *testing.T) {
	e := NewEncoder(bytes.Repeat([]byte{0xaa}, MinBuffer))
	for range 2 {
		e.Reset(io.Discard, binary.LittleEndian)
		for range 10 {
			b := e.Next(1000)
			if len(b) != 1000 || cap(b) != 1000 || !bytes.Equal(b, make([]byte, 1000)) {
				t.Fatalf("Next(1000) has %d bytes, capacity %d", len(b), cap(b))
			}
			for i := range b {
				b[i] = 0xbb
			}
		}
	}
	if b := e.Next(MinBuffer); len(b) != MinBuffer {
		t.Errorf("%d bytes", len(b))
	}
}

// shortWriter accepts at most three bytes per write, without an error until it has limit bytes.
type shortWriter struct {
	bytes.Buffer
	limit int
	err   error
}

func (s *shortWriter) Write(p []byte) (int, error) {
	if s.Len() >= s.limit {
		return 0, s.err
	}
	return s.Buffer.Write(p[:min(3, len(p))])
}

type countWriter int

func (c countWriter) Write(p []byte) (int, error) { return int(c), nil }

func TestEncoderWriters(t *testing.T) {
	put := func(e *Encoder) {
		for i := range 5000 {
			e.U32(uint32(i))
		}
		e.Bytes(make([]byte, 10*MinBuffer))
		e.Zero(1 << 40)
		e.String([]byte("text"))
		copy(e.Next(3), "abc")
	}
	e := NewEncoder(nil)
	slow := &shortWriter{limit: 1 << 20}
	e.Reset(slow, binary.LittleEndian)
	for i := range 5000 {
		e.U32(uint32(i))
	}
	if err := e.Flush(); err != nil || slow.Len() != 20000 || binary.LittleEndian.Uint32(slow.Bytes()[19996:]) != 4999 {
		t.Errorf("%d bytes, %v", slow.Len(), err)
	}

	broken := errors.New("broken")
	const total = 20000 + 10*MinBuffer + 1<<40 + 14 + 3
	for _, test := range []struct {
		name string
		w    io.Writer
		want error
	}{
		{"error", &shortWriter{limit: 9000, err: broken}, broken},
		{"no progress", &shortWriter{limit: 9000}, io.ErrShortWrite},
		{"too many", countWriter(1 << 20), errWriteCount},
		{"negative", countWriter(-1), errWriteCount},
	} {
		e.Reset(test.w, binary.LittleEndian)
		put(e)
		if e.Err() != test.want || e.Flush() != test.want {
			t.Errorf("%s: %v, not %v", test.name, e.Err(), test.want)
		}
		if e.Offset() != total {
			t.Errorf("%s: counted %d bytes, not %d", test.name, e.Offset(), uint64(total))
		}
		if s, ok := test.w.(*shortWriter); ok && s.Len() >= 9003 {
			t.Errorf("%s: went on to %d bytes", test.name, s.Len())
		}
		if e.Reset(io.Discard, binary.LittleEndian); e.Err() != nil || e.Offset() != 0 {
			t.Errorf("%s: after Reset: %v at %d", test.name, e.Err(), e.Offset())
		}
	}
}

func TestEncoderAllocatesNothing(t *testing.T) {
	e := NewEncoder(make([]byte, MinBuffer))
	text := []byte("/usr/lib/libé€𝄞\xff.so")
	large := make([]byte, 3*MinBuffer)
	id := &GUID{Data1: 1}
	thread := &Thread{ThreadID: 1}
	for _, w := range []io.Writer{io.Discard, nil, countWriter(-1)} {
		for _, o := range orders {
			if n := testing.AllocsPerRun(100, func() {
				e.Reset(w, o)
				for range 300 {
					e.U16(1)
					e.U32(2)
					e.U64(3)
					e.String(text)
					e.UTF8String(text)
					e.CVELF(text)
					e.CVPDB70(id, 1, text)
					e.Zero(StringSize(text))
					e.Align(4)
					thread.Put(e.Next(ThreadSize), e.Order())
					e.Raw(1)[0] = 1
				}
				e.Bytes(large)
				e.Flush()
			}); n != 0 {
				t.Errorf("%T, %v: %v allocations", w, o, n)
			}
		}
	}
}

func BenchmarkEncoderString(b *testing.B) {
	e := NewEncoder(make([]byte, 1<<16))
	text := []byte("/usr/lib/x86_64-linux-gnu/libexample.so.1.2.3")
	e.Reset(io.Discard, binary.LittleEndian)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for range b.N {
		e.String(text)
	}
}

func BenchmarkEncoderThread(b *testing.B) {
	e := NewEncoder(make([]byte, 1<<16))
	e.Reset(io.Discard, binary.LittleEndian)
	b.ReportAllocs()
	var r Thread
	for range b.N {
		r.Put(e.Next(ThreadSize), e.Order())
	}
}
