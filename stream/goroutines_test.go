package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// goList builds a GoroutineListStream.
type goList struct {
	o    binary.ByteOrder
	h    GoroutineListHeader
	body []byte
	text []byte
}

func newGoList(o binary.ByteOrder) *goList {
	return &goList{o: o, text: make([]byte, 4), h: GoroutineListHeader{
		SizeOfHeader: GoroutineListHeaderSize, SizeOfGoroutine: GoroutineRecordSize, SizeOfStack: GoStackSize, SizeOfFrame: GoFrameSize,
		SizeOfPanic: GoPanicSize, SizeOfThread: GoThreadSize}}
}

func (l *goList) str(s string) uint32 {
	at := len(l.text)
	l.text = append(l.text, make([]byte, 4+len(s))...)
	l.o.PutUint32(l.text[at:], uint32(len(s)))
	copy(l.text[at+4:], s)
	return uint32(at)
}

func (l *goList) table(t *GoTable, size int, records ...record) {
	*t = GoTable{uint32(GoroutineListHeaderSize + len(l.body)), uint32(len(records))}
	for _, r := range records {
		b := make([]byte, size)
		r.Put(b, l.o)
		l.body = append(l.body, b...)
	}
}

func (l *goList) bytes() []byte {
	l.h.Strings = GoTable{uint32(GoroutineListHeaderSize + len(l.body)), uint32(len(l.text))}
	b := make([]byte, GoroutineListHeaderSize)
	l.h.Put(b, l.o)
	return slices.Concat(b, l.body, l.text)
}

// word32 is a record that consists of an index.
type word32 uint32

func (w *word32) Put(b []byte, o binary.ByteOrder) { o.PutUint32(b, uint32(*w)) }
func (w *word32) Get(b []byte, o binary.ByteOrder) { *w = word32(o.Uint32(b)) }

func sampleGoList(o binary.ByteOrder) []byte {
	l := newGoList(o)
	l.h.GoVersion, l.h.BuildInfo = l.str("go1.26.8"), l.str("path\tmain\n")
	l.h.Total, l.h.Dead, l.h.Nanotime = 5, 1, 400e9
	file := l.str("/src/main.go")
	l.table(&l.h.Frames, GoFrameSize,
		&GoFrame{PC: 0x1010, Function: l.str("runtime.gopark"), File: file, Line: 1, Offset: 0x10},
		&GoFrame{PC: 0x2010, Function: l.str("main.inlined"), File: file, Line: 2, Offset: 0x10, Flags: GoInlined},
		&GoFrame{PC: 0x2010, Function: l.str("main.F[go.shape.int]"), File: file, Line: 3, Offset: 0x10},
		&GoFrame{PC: 0x3010, Function: l.str("main.(*T).M"), File: file, Line: 4, Offset: 0x20, Flags: GoWrapper},
		&GoFrame{PC: 0x4010, Function: l.str("main.main"), File: file, Line: 5, StartLine: 4, Offset: 0x30},
		&GoFrame{PC: 0x5010, Function: l.str("runtime.gopanic"), File: file, Line: 6, Offset: 0x40})
	index := make([]word32, 6)
	for i := range index {
		index[i] = word32(i)
	}
	l.table(&l.h.StackFrames, 4, &index[0], &index[1], &index[2], &index[3], &index[4], &index[4], &index[5], &index[3])
	l.table(&l.h.Stacks, GoStackSize, &GoStack{0, 5, GoStackComplete}, &GoStack{5, 3, GoStackCut}, &GoStack{7, 2, 0})
	l.table(&l.h.Labels, GoLabelSize, &GoLabel{l.str("user"), l.str("a b")}, &GoLabel{l.str("n"), l.str("1")})
	l.table(&l.h.LabelSets, GoTableSize, &GoTable{0, 2})
	l.table(&l.h.Panics, GoPanicSize, &GoPanic{l.str("*errors.errorString"), l.str("boom"), 1, 0},
		&GoPanic{l.str("string"), l.str("first"), GoNone, GoPanicRecovered})
	l.table(&l.h.Threads, GoThreadSize, &GoThread{ThreadID: 77, On: GoOnSystem, Goroutine: 1, Stack: 0, M: 0x9000, SystemLo: 1, SystemHi: 2})
	g := GoroutineRecord{ID: 1, Status: GoWaiting, WaitReason: l.str("sleep"), WaitSince: 100e9, Stack: 0, Creator: GoNone, Start: 4, LabelSet: 0,
		Panic: GoNone, StackLo: 0x10000, StackSize: 0x1000, StackDepth: 0x100}
	same := g
	same.ID, same.ParentID, same.Creator, same.WaitSince = 9, 1, 4, 0
	other := same
	other.ID, other.WaitSince = 7, 340e9
	dying := GoroutineRecord{ID: 4, ParentID: 1, Status: GoRunning, Stack: 1, Creator: 4, Start: 2, LabelSet: GoNone, Panic: 0, ThreadID: 77,
		Flags: GoTrap | GoLocked}
	system := GoroutineRecord{ID: 2, Status: GoWaiting, Flags: GoSystem, Stack: GoNone, Creator: 0, Start: 0, LabelSet: GoNone, Panic: GoNone}
	l.table(&l.h.Goroutines, GoroutineRecordSize, &g, &same, &other, &dying, &system)
	return l.bytes()
}

func TestGoroutineList(t *testing.T) {
	for _, o := range orders {
		l, err := ParseGoroutineList(sampleGoList(o), o)
		if err != nil {
			t.Fatal(err)
		}
		if l.GoVersion != "go1.26.8" || l.BuildInfo != "path\tmain\n" || l.Header.Total != 5 || len(l.Goroutines) != 5 || len(l.Threads) != 1 {
			t.Errorf("%+v", l)
		}
		var text []byte
		for i := range l.Goroutines {
			text = l.AppendTraceback(text, &l.Goroutines[i], Traceback{Labels: true})
		}
		const want = `goroutine 1 [sleep, 5 minutes] {user: "a b", n: 1}:
main.inlined(...)
	/src/main.go:2
main.F[...](...)
	/src/main.go:3 +0x10
main.main(...)
	/src/main.go:5 +0x30
goroutine 9 [sleep] {user: "a b", n: 1}:
main.inlined(...)
	/src/main.go:2
main.F[...](...)
	/src/main.go:3 +0x10
main.main(...)
	/src/main.go:5 +0x30
created by main.main in goroutine 1
	/src/main.go:5 +0x30
goroutine 7 [sleep, 1 minutes] {user: "a b", n: 1}:
main.inlined(...)
	/src/main.go:2
main.F[...](...)
	/src/main.go:3 +0x10
main.main(...)
	/src/main.go:5 +0x30
created by main.main in goroutine 1
	/src/main.go:5 +0x30
goroutine 4 [running, locked to thread]:
main.main(...)
	/src/main.go:5 +0x30
panic(...)
	/src/main.go:6 +0x40
main.(*T).M(...)
	/src/main.go:4 +0x20
created by main.main in goroutine 1
	/src/main.go:5 +0x30
goroutine 2 [waiting]:
`
		if string(text) != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
		if p := l.Goroutines[3].Panics; !slices.Equal(p, []GoPanicText{{"*errors.errorString", "boom", 0}, {"string", "first", GoPanicRecovered}}) {
			t.Errorf("panics %v", p)
		}
		if th := l.Threads[0]; th.ThreadID != 77 || len(th.Frames) != 5 || th.FrameFlags != GoStackComplete {
			t.Errorf("thread %+v", th)
		}
		var ids [][]uint64
		for _, g := range l.Groups(true) {
			var list []uint64
			for _, m := range g.Goroutines {
				list = append(list, m.ID)
			}
			ids = append(ids, list)
		}
		if !slices.EqualFunc(ids, [][]uint64{{4}, {7, 9}, {1}, {2}}, slices.Equal[[]uint64]) {
			t.Errorf("groups %v", ids)
		}
		if g := l.Groups(false); len(g) != 3 || g[1].MinWaited != 0 || g[1].MaxWaited != 60e9 {
			t.Errorf("groups %+v", g)
		}
	}
}

// TestGoroutineListDamaged checks that whatever does not fit is an error and the rest is read.
func TestGoroutineListDamaged(t *testing.T) {
	o := binary.LittleEndian
	good := sampleGoList(o)
	for _, test := range []struct {
		name string
		do   func(b []byte) []byte
		want error
	}{
		{"short", func(b []byte) []byte { return b[:GoroutineListHeaderSize-1] }, ErrTruncated},
		{"small head", func(b []byte) []byte { o.PutUint32(b, 20); return b }, ErrFormat},
		{"small goroutines", func(b []byte) []byte { o.PutUint32(b[4:], GoroutineRecordSize-1); return b }, ErrFormat},
		{"many frames", func(b []byte) []byte { o.PutUint32(b[92:], 1<<30); return b }, ErrTruncated},
		{"frames elsewhere", func(b []byte) []byte { o.PutUint32(b[88:], 1<<31); return b }, ErrTruncated},
		{"strings cut", func(b []byte) []byte { return b[:len(b)-1] }, ErrTruncated},
	} {
		if _, err := ParseGoroutineList(test.do(bytes.Clone(good)), o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// Entries of a later version are larger.
	if l, err := ParseGoroutineList(good, o); err != nil || len(l.Goroutines) != 5 {
		t.Errorf("%v", err)
	}
}

func TestGoCallName(t *testing.T) {
	for in, want := range map[string]string{
		"main.f":                              "main.f",
		"runtime.gopanic":                     "panic",
		"main.F[go.shape.int]":                "main.F[...]",
		"main.(*T[go.shape.[]int]).M":         "main.(*T[...]).M",
		"main.F[go.shape.int].func1":          "main.F[...].func1",
		"main.A[go.shape.int].B[main.C[int]]": "main.A[...].B[...]",
		"main.A]x[":                           "main.A]x[",
		"":                                    "",
	} {
		if got := (&GoCall{Function: in}).Name(); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

func TestElidedFrames(t *testing.T) {
	frames := make([]GoCall, 130)
	for i := range frames {
		frames[i] = GoCall{Function: "main.f", File: "f.go", Line: uint32(i)}
	}
	text := string(AppendFrames(nil, frames))
	if strings.Count(text, "main.f(...)") != 100 || !strings.Contains(text, "f.go:49\n...30 frames elided...\nmain.f(...)\n\tf.go:80\n") {
		t.Errorf("%s", text)
	}
	if text := string(AppendFrames(nil, []GoCall{{PC: 0x123}})); text != "non-Go function at pc=0x123\n" {
		t.Errorf("%s", text)
	}
}

func FuzzGoroutineList(f *testing.F) {
	f.Add(sampleGoList(binary.LittleEndian), false)
	f.Add(sampleGoList(binary.BigEndian), true)
	f.Fuzz(func(t *testing.T, b []byte, big bool) {
		o := orders[0]
		if big {
			o = orders[1]
		}
		l, _ := ParseGoroutineList(b, o)
		if l == nil {
			return
		}
		var text []byte
		for i := range l.Goroutines[:min(len(l.Goroutines), 100)] {
			text = l.AppendTraceback(text[:0], &l.Goroutines[i], Traceback{All: true, Labels: true})
		}
		for _, g := range l.Groups(true) {
			if len(g.Goroutines) == 0 {
				t.Fatal("an empty group")
			}
		}
	})
}
