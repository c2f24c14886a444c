package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"minidump/internal/scratch"
)

// frameSample has two threads: one with an inlined call, a signal and a frame without a name, and one without frames.
func frameSample() *FrameList {
	return &FrameList{"inner | outer", []ThreadFrames{
		{ThreadID: 7, Cut: true, Frames: []NamedFrame{
			{FrameRecord{PC: 0x401000, SP: 0x7000, Module: 0, Line: 12, Offset: 4, Trust: 1, Flags: FrameInlined}, "inner", "a.c"},
			{FrameRecord{PC: 0x401000, SP: 0x7000, Module: 0, Line: 20, Offset: 16, Trust: 1, Flags: FrameInterrupted}, "outer", "a.c"},
			{FrameRecord{PC: 0x99, SP: 0x7010, Module: GoNone, Trust: 6}, "", ""},
		}},
		{ThreadID: 8},
	}}
}

// forget clears the offsets of strings, which are not part of the content of a list.
func forget(l *FrameList) *FrameList {
	list := l.Threads
	for i := range list {
		for k := range list[i].Frames {
			x := &list[i].Frames[k].FrameRecord
			x.Function, x.File = 0, 0
		}
	}
	return l
}

func TestFrameList(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		b := AppendFrameList(nil, o, frameSample())
		list, err := ParseFrameList(b, o)
		if err != nil || !reflect.DeepEqual(forget(list), frameSample()) {
			t.Errorf("%v: %v, %+v", o, err, list)
		}
		for i := range b {
			if _, err := ParseFrameList(b[:i], o); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrFormat) {
				t.Errorf("%d of %d bytes: %v", i, len(b), err)
			}
		}
	}
	long := &FrameList{"", []ThreadFrames{{Frames: []NamedFrame{{Function: strings.Repeat("x", 10000) + "\xff"}}}}}
	list, err := ParseFrameList(AppendFrameList(nil, binary.LittleEndian, long), binary.LittleEndian)
	if err != nil || len(list.Threads[0].Frames[0].Function) != maxFrameText {
		t.Errorf("%v, %d bytes", err, len(list.Threads[0].Frames[0].Function))
	}
}

func FuzzParseFrameList(f *testing.F) {
	f.Add(AppendFrameList(nil, binary.LittleEndian, frameSample()), false)
	f.Add(AppendFrameList(nil, binary.BigEndian, frameSample()), true)
	f.Fuzz(func(t *testing.T, b []byte, big bool) {
		o := binary.ByteOrder(binary.LittleEndian)
		if big {
			o = binary.BigEndian
		}
		list, err := ParseFrameList(b, o)
		if err != nil {
			return
		}
		again, err := ParseFrameList(AppendFrameList(nil, o, list), o)
		if err != nil || !reflect.DeepEqual(forget(again), forget(list)) {
			t.Errorf("%v, %+v, not %+v", err, again, list)
		}
	})
}

// TestAppend adds a stream to files of both byte orders, and checks that a failure leaves the file as it was.
func TestAppend(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		before := (&sample{wide: true}).write(t, o)
		path := filepath.Join(scratch.Dir(t), "dump")
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		data := AppendFrameList(nil, o, frameSample())
		if err := Append(file, int64(len(before)), FrameListStream, data); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(after), int64(len(after)))
		if err != nil {
			t.Fatal(err)
		}
		if list, err := f.Frames(); err != nil || !reflect.DeepEqual(forget(list), frameSample()) {
			t.Errorf("%v, %+v", err, list)
		}
		was, err := Open(bytes.NewReader(before), int64(len(before)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(f.Directory[:len(f.Directory)-1], was.Directory) || !bytes.Equal(before[16:], after[16:len(before)]) {
			t.Error("what was there is not what it was")
		}
		for _, fails := range []int{1, 2} {
			half := &failingFile{b: bytes.Clone(before), fails: fails}
			if err := Append(half, int64(len(before)), FrameListStream, data); !errors.Is(err, errFull) {
				t.Errorf("write %d fails: %v", fails, err)
			}
			if !bytes.Equal(half.b[:len(before)], before) {
				t.Errorf("write %d fails, and the dump is another", fails)
			}
		}
	}
	if err := Append(&failingFile{b: (&sample{wide: true}).write(t, binary.LittleEndian)}, 1<<32, FrameListStream, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file of 4 GiB: %v", err)
	}
}

// TestAppendAnnotations adds annotations to a file that has some, and to one without, and reads them back.
func TestAppendAnnotations(t *testing.T) {
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		before := (&sample{wide: true}).write(t, o)
		was, err := Open(bytes.NewReader(before), int64(len(before)))
		if err != nil {
			t.Fatal(err)
		}
		had, err := was.CrashpadInfo()
		if err != nil || len(had.Annotations) == 0 {
			t.Fatalf("%+v, %v", had, err)
		}
		without := bytes.Clone(before)
		for i, d := range was.Directory {
			if d.Type == CrashpadInfoStream {
				o.PutUint32(without[int(was.Header.StreamDirectoryRVA)+i*DirectorySize:], 0x12345678)
			}
		}
		added := []Annotation{{"signature", "level3 | main"}, {had.Annotations[0].Key, "not this one"}, {"empty", ""}}
		for i, b := range [][]byte{before, without} {
			file := &growingFile{b: bytes.Clone(b)}
			if err := Append(file, int64(len(b)), FrameListStream, []byte("data"), added...); err != nil {
				t.Fatal(err)
			}
			f, err := Open(bytes.NewReader(file.b), int64(len(file.b)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.CrashpadInfo()
			want := []Annotation{added[0], added[1], added[2]}
			if i == 0 {
				want = append(slices.Clone(had.Annotations), added[0], added[2])
				if !reflect.DeepEqual(got.Modules, had.Modules) || got.ReportID != had.ReportID || got.ClientID != had.ClientID {
					t.Errorf("the rest of the stream is %+v, and was %+v", got, had)
				}
			}
			if err != nil || !reflect.DeepEqual(got.Annotations, want) {
				t.Errorf("%v: %+v, want %+v", err, got.Annotations, want)
			}
			if data, err := f.Stream(FrameListStream); err != nil || string(data) != "data" {
				t.Errorf("%q, %v", data, err)
			}
			if problems := Problems(f); i == 0 && len(problems) > len(Problems(was)) {
				t.Error(problems)
			}
		}
	}
}

// growingFile is a file in memory.
type growingFile struct{ b []byte }

func (f *growingFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(p, off)
}

func (f *growingFile) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}

// failingFile is a file in which the write with number fails returns an error.
type failingFile struct {
	b             []byte
	writes, fails int
}

var errFull = errors.New("no space")

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(p, off)
}

func (f *failingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.writes++; f.writes == f.fails {
		return 0, errFull
	}
	if grow := int(off) + len(p) - len(f.b); grow > 0 {
		f.b = append(f.b, make([]byte, grow)...)
	}
	return copy(f.b[off:], p), nil
}
