package corefile_test

import (
	"bytes"
	"errors"
	"maps"
	"minidump/context"
	"minidump/stream"
	"slices"
	"testing"

	"minidump"
	"minidump/internal/corefile/coretest"
)

// Notes that do not start a thread: each thread is in the dump once, with its own registers, and the exception is in one of them.
func TestCoreStrangeThreads(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	short := make([]byte, 40)
	for _, test := range []struct {
		name   string
		notes  func(b *coretest.Builder)
		blamed uint32
		pc     map[uint32]uint64
		extra  map[uint32]string
	}{
		{"twice", func(b *coretest.Builder) {
			b.Note("CORE", 1, a.Status(101, 11, coretest.SamplePC, coretest.SampleStack))
			b.Note("LINUX", 0x777, []byte("first"))
			b.Note("CORE", 1, a.Status(101, 6, coretest.SamplePC+1, coretest.SampleStack))
			b.Note("LINUX", 0x777, []byte("not this"))
			b.Note("CORE", 1, a.Status(102, 0, coretest.SamplePC+2, coretest.SampleStack))
			b.Note("LINUX", 0x777, []byte("other"))
		}, 101, map[uint32]uint64{101: coretest.SamplePC, 102: coretest.SamplePC + 2}, map[uint32]string{101: "first", 102: "other"}},
		{"short", func(b *coretest.Builder) {
			b.Note("CORE", 1, short)
			b.Note("LINUX", 0x777, []byte("not this"))
			b.Note("CORE", 1, a.Status(102, 11, coretest.SamplePC+2, coretest.SampleStack))
			b.Note("LINUX", 0x777, []byte("other"))
		}, 102, map[uint32]uint64{102: coretest.SamplePC + 2}, map[uint32]string{102: "other"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &coretest.Builder{Arch: a}
			test.notes(b)
			b.Segment(coretest.SampleStack, 0x2000, 6, make([]byte, 0x2000))
			core := b.Bytes()
			for _, pipe := range []bool{false, true} {
				o := minidump.Options{RegisterSets: true}
				w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), o)
				if pipe {
					w, err = minidump.OpenCorePipe(bytes.NewReader(core), 0, "", o)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				f, r := dumpOpened(t, w)
				if !slices.ContainsFunc(r.SoftErrors(), func(e minidump.SoftError) bool { return e.Op == "list threads" && e.Subject != "" }) {
					t.Errorf("nothing is told: %v", r.SoftErrors())
				}
				if e, err := f.Exception(); err != nil || e.ThreadID != test.blamed {
					t.Errorf("exception %+v: %v", e, err)
				}
				threads, err := f.Threads()
				if err != nil || len(threads) != len(test.pc) {
					t.Fatalf("threads %+v: %v", threads, err)
				}
				for tid, cpu := range coretest.CPUs(t, f) {
					if cpu.PC != test.pc[tid] {
						t.Errorf("thread %d at %#x", tid, cpu.PC)
					}
				}
				extra := map[uint32]string{}
				sets, err := f.RegisterSets()
				if err != nil && !errors.Is(err, stream.ErrNoStream) {
					t.Fatal(err)
				}
				for _, s := range sets {
					b, err := f.Context(s.Data)
					if err != nil {
						t.Fatal(err)
					}
					extra[s.ThreadID] += string(b)
				}
				if !maps.Equal(extra, test.extra) {
					t.Errorf("register sets %v", extra)
				}
			}
		})
	}
}

// A crash context from the caller has precedence over the core's own.
func TestCoreWithCrash(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	c := &context.Crash{Arch: context.AMD64, TID: 100, Signo: 4, Code: 2, Address: 0xbad}
	f, _ := dumpCore(t, coretest.Sample(a).Bytes(), minidump.Options{Crash: c})
	if e, err := f.Exception(); err != nil || e.ThreadID != 100 || e.Code != 4 || e.Flags != 2 || e.Address != 0xbad {
		t.Errorf("exception %+v: %v", e, err)
	}
}

// siginfo_t has no address for a general protection fault; the instruction has it, if it is in the file.
func TestCoreRefined(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	status := a.Status(5, 11, coretest.SamplePC, coretest.SampleStack+8)
	const rcx, far = 11, 0xdead000000000010
	copy(status[112+8*rcx:], a.Words(far))
	b.Note("CORE", 1, status)
	b.Note("CORE", 0x53494749, a.Siginfo(11, 0x80, 0))                                               // SI_KERNEL
	b.Segment(coretest.SamplePC, 16, 5, append([]byte{0x48, 0x89, 0x41, 0x08}, make([]byte, 12)...)) // mov %rax,8(%rcx)
	b.Segment(coretest.SampleStack, 0x1000, 6, make([]byte, 0x1000))
	f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
	e, err := f.Exception()
	if err != nil || e.Code != 11 || e.Flags != 0x80 || e.Address != far+8 || e.NumberParameters < 2 || e.Information[0] != 1 || e.Information[1] != far+8 {
		t.Errorf("exception %+v: %v", e, err)
	}
	if c := coretest.CPUs(t, f)[5]; c == nil || c.PC != coretest.SamplePC {
		t.Errorf("registers %+v", c)
	}
}

// A file whose notes describe no thread, and one whose notes have no name, as Delve writes them.
func TestCoreNotesOfDelve(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	none := &coretest.Builder{Arch: a}
	none.Note("CORE", 1, make([]byte, 40))
	none.Note("CORE", 3, a.Psinfo(100, "sample", "sample"))
	none.Segment(coretest.SampleStack, 0x2000, 6, make([]byte, 0x2000))
	core := none.Bytes()
	if _, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), minidump.Options{}); !errors.Is(err, minidump.ErrNoThread) {
		t.Errorf("without a thread: %v", err)
	}
	if _, err := minidump.OpenCorePipe(bytes.NewReader(core), 0, "", minidump.Options{}); !errors.Is(err, minidump.ErrNoThread) {
		t.Errorf("without a thread, by a pipe: %v", err)
	}

	for _, owner := range []string{"", "CORE"} { // if a file has notes named CORE, those without a name belong to someone else
		b := &coretest.Builder{Arch: a}
		b.Note(owner, 3, a.Psinfo(100, "sample", "sample"))
		b.Note(owner, 1, a.Status(101, 11, coretest.SamplePC, coretest.SampleStack))
		b.Note("", 0x202, []byte("vectors"))
		b.Note(owner, 1, a.Status(102, 0, coretest.SamplePC+2, coretest.SampleStack))
		b.Note("", 1, a.Status(103, 0, coretest.SamplePC+4, coretest.SampleStack))
		b.Segment(coretest.SampleStack, 0x2000, 6, make([]byte, 0x2000))
		core := b.Bytes()
		want := map[uint32]uint64{101: coretest.SamplePC, 102: coretest.SamplePC + 2, 103: coretest.SamplePC + 4}
		sets := 1
		if owner != "" {
			delete(want, 103)
			sets = 0
		}
		w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), minidump.Options{RegisterSets: true})
		if err != nil {
			t.Fatal(err)
		}
		f, _ := dumpOpened(t, w)
		w.Close()
		if e, err := f.Exception(); err != nil || e.ThreadID != 101 {
			t.Errorf("owner %q: exception %+v: %v", owner, e, err)
		}
		got := map[uint32]uint64{}
		for tid, cpu := range coretest.CPUs(t, f) {
			got[tid] = cpu.PC
		}
		if !maps.Equal(got, want) {
			t.Errorf("owner %q: threads %x, want %x", owner, got, want)
		}
		vectors, _ := f.RegisterSets()
		n := 0
		for _, v := range vectors {
			if v.NoteType == 0x202 {
				n++
			}
		}
		if n != sets {
			t.Errorf("owner %q: %d vector sets, want %d", owner, n, sets)
		}
	}
}
