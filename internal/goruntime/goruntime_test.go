package goruntime

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/stream"
)

// machines lists the architectures and their byte orders.
var machines = []struct {
	arch context.Arch
	o    binary.ByteOrder
}{
	{context.X86, binary.LittleEndian}, {context.AMD64, binary.LittleEndian}, {context.ARM, binary.LittleEndian},
	{context.ARM64, binary.LittleEndian}, {context.MIPS, binary.BigEndian}, {context.MIPS, binary.LittleEndian},
	{context.MIPS64, binary.BigEndian}, {context.MIPS64, binary.LittleEndian}, {context.PPC64, binary.BigEndian},
	{context.PPC64, binary.LittleEndian}, {context.RISCV64, binary.LittleEndian}, {context.S390X, binary.BigEndian},
	{context.LOONG64, binary.LittleEndian},
}

// sample builds a program with some goroutines and two threads.
func sample(arch context.Arch, o binary.ByteOrder, release127 bool) (*synth, []Thread) {
	s := newSynth(arch, o, release127)
	w := int(s.word)
	// 1: main, parked in an inlined function
	g, top := s.addG(1, statusWaiting, "runtime.main")
	s.park(g, 2, top, call{"runtime.goexit", 4}, call{"runtime.main", 0x30}, call{"main.main", 0x60}, call{"runtime.gopark", 0x20})
	labels := s.alloc(3 * w)
	pair := s.alloc(4 * w)
	text := s.alloc(16)
	copy(s.b[text:], "keyvalue")
	s.words(pair, s.at(text), 3, s.at(text+3), 5)
	s.words(labels, s.at(pair), 1, 1)
	s.putPtr(g+s.offset(typeG, "labels"), s.at(labels))
	// 2: a goroutine of the runtime
	g, top = s.addG(2, statusWaiting|statusScan, "runtime.bgsweep")
	s.park(g, 1, top, call{"runtime.goexit", 4}, call{"runtime.bgsweep", 0x30}, call{"runtime.gopark", 0x20})
	s.putPtr(g+s.offset(typeG, "gopc"), s.pc("runtime.main", 0x14))
	// 3: running, in a leaf function; its thread is on its stack
	g, top = s.addG(3, statusRunning, "main.worker")
	pc, sp, lr := s.push(top, call{"runtime.goexit", 4}, call{"main.worker", 0x30}, call{"main.leaf", 0x50})
	s.putPtr(g+s.offset(typeG, "gopc"), s.pc("main.main", 0x24))
	s.o.PutUint64(s.b[g+s.offset(typeG, "parentGoid"):], 1)
	m := s.addM(101, g)
	running := Thread{TID: 101, PC: pc, SP: sp, LR: lr, G: s.at(g)}
	if arch == context.AMD64 {
		tls := s.alloc(w)
		s.putPtr(tls, s.at(g))
		running.G, running.Indirect = s.at(tls), true
	}
	if arch == context.X86 {
		running.G = 0 // to be found by the list of Ms
	}
	// 4: dead
	s.addG(4, statusDead, "main.worker")
	// 5: in a system call, and panicking
	g, top = s.addG(5, statusSyscall, "main.worker")
	pc, sp, _ = s.push(top, call{"runtime.goexit", 4}, call{"main.(*T).wrapper", 0x30}, call{"main.worker", 0x70})
	s.putPtr(g+s.offset(typeG, "syscallpc"), pc)
	s.putPtr(g+s.offset(typeG, "syscallsp"), sp)
	s.putPtr(g+s.offset(typeG, "lockedm"), s.at(m))
	p := s.alloc(8 * w)
	s.words(p, 0, 0, 0, 0)
	s.putPtr(g+s.offset(typeG, "_panic"), s.at(p))
	// 6: in secret mode
	g, top = s.addG(6, statusRunnable, "main.worker")
	s.park(g, 0, top, call{"runtime.goexit", 4}, call{"main.worker", 0x30})
	s.o.PutUint32(s.b[g+s.offset(typeG, "secret"):], 1)
	// A thread on the system stack of m0 that runs no goroutine.
	g0 := synthBSS + 0x300
	_, sp0, _ := s.push(synthHeap+0x9000, call{"runtime.goexit", 4}, call{"runtime.gopark", 0x20})
	idle := Thread{TID: 100, PC: s.pc("runtime.gopark", 0x20), SP: sp0, G: s.at(g0)}
	s.o.PutUint64(s.b[synthBSS+0x100+s.offset(typeM, "procid"):], 100)
	if arch == context.AMD64 {
		tls := s.alloc(w)
		s.putPtr(tls, s.at(g0))
		idle.G, idle.Indirect = s.at(tls), true
	}
	return s, []Thread{idle, running}
}

// addM adds an M to allm, for a thread that runs g.
func (s *synth) addM(tid uint64, g int) int {
	w := int(s.word)
	m := s.alloc(len(synthFields[typeM]) * w)
	g0 := s.alloc(len(synthFields[typeG]) * w)
	s.words(g0, s.at(synthHeap+0x9000), s.at(synthHeap+0xa000))
	s.putPtr(g0+s.offset(typeG, "m"), s.at(m))
	s.putPtr(m+s.offset(typeM, "g0"), s.at(g0))
	s.putPtr(m+s.offset(typeM, "curg"), s.at(g))
	s.o.PutUint64(s.b[m+s.offset(typeM, "procid"):], tid)
	s.putPtr(g+s.offset(typeG, "m"), s.at(m))
	s.putPtr(m+s.offset(typeM, "alllink"), s.ptr(s.b[synthBSS+0x40:]))
	s.putPtr(synthBSS+0x40, s.at(m))
	return m
}

// listOf reads a synthetic program.
func listOf(t testing.TB, s *synth, threads []Thread) *stream.GoroutineList {
	t.Helper()
	p, space := new(Program), new(testSpace)
	if err := p.Find(s, space, s.image()); err != nil {
		t.Fatalf("Find: %v", err)
	}
	c := new(Capture)
	if !p.Capture(c, s, space, threads, 5e9, Limits{}) {
		t.Fatal("Capture found no goroutines")
	}
	b := bytes.Clone(p.Encode(c, s, space, s))
	l, err := stream.ParseGoroutineList(b, s.o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const wantSample = `goroutine 1 [chan receive] {key: value}:
runtime.gopark(...)
	/src/file.go:100 +0x20
main.inlined(...)
	/src/file.go:350
main.main(...)
	/src/file.go:300 +0x60
runtime.main(...)
	/src/file.go:200 +0x30
runtime.goexit(...)
	/src/file.go:10 +0x4
goroutine 2 [GC assist marking (scan)]:
runtime.gopark(...)
	/src/file.go:100 +0x20
runtime.bgsweep(...)
	/src/file.go:800 +0x30
runtime.goexit(...)
	/src/file.go:10 +0x4
created by runtime.main
	/src/file.go:200 +0x14
goroutine 3 [running]:
main.leaf(...)
	/src/file.go:550 +0x50
main.worker(...)
	/src/file.go:400 +0x30
runtime.goexit(...)
	/src/file.go:10 +0x4
created by main.main in goroutine 1
	/src/file.go:300 +0x24
goroutine 5 [syscall, locked to thread]:
main.worker(...)
	/src/file.go:450 +0x70
main.(*T).wrapper(...)
	/src/file.go:700 +0x30
runtime.goexit(...)
	/src/file.go:10 +0x4
goroutine 6 [runnable]:
	goroutine in secret mode; stack left out
`

func TestEveryArch(t *testing.T) {
	for _, m := range machines {
		for _, release127 := range [2]bool{false, true} {
			t.Run(fmt.Sprint(m.arch, " ", m.o, " ", release127), func(t *testing.T) {
				s, threads := sample(m.arch, m.o, release127)
				l := listOf(t, s, threads)
				var text []byte
				for i := range l.Goroutines {
					text = l.AppendTraceback(text, &l.Goroutines[i], stream.Traceback{All: true, Labels: true})
				}
				if string(text) != wantSample {
					t.Errorf("got\n%s\nwant\n%s", text, wantSample)
				}
				if l.GoVersion != "go1.999" || l.BuildInfo != "path\tmain\nmod\tmain\t(devel)\n" {
					t.Errorf("version %q, build information %q", l.GoVersion, l.BuildInfo)
				}
				if h := l.Header; h.Total != 6 || h.Dead != 1 || h.Omitted != 0 || h.Torn != 0 || h.Flags != 0 || h.Nanotime != 5e9 {
					t.Errorf("header %+v", h)
				}
				g := l.Goroutines
				if g[1].Flags != stream.GoSystem|stream.GoScan || g[2].Flags != stream.GoTrap || g[2].ThreadID != 101 || g[4].Flags != stream.GoSecret {
					t.Errorf("flags %x %x %x, thread %d", g[1].Flags, g[2].Flags, g[4].Flags, g[2].ThreadID)
				}
				if !slices.Equal(g[3].Panics, []stream.GoPanicText{{Value: "nil"}}) {
					t.Errorf("panics %v", g[3].Panics)
				}
				if len(l.Threads) != 2 {
					t.Fatalf("threads %+v", l.Threads)
				}
				a, b := l.Threads[0], l.Threads[1]
				if a.ThreadID != 100 || a.On != stream.GoOnSystem || a.Goroutine != stream.GoNone || len(a.Frames) != 2 ||
					a.SystemHi != s.at(synthHeap+0x9000) {
					t.Errorf("idle thread %+v", a)
				}
				if b.ThreadID != 101 || b.On != stream.GoOnGoroutine || b.Goroutine != 2 {
					t.Errorf("running thread %+v", b)
				}
			})
		}
	}
}

// TestShown compares what level all hides.
func TestShown(t *testing.T) {
	s, threads := sample(context.AMD64, binary.LittleEndian, true)
	l := listOf(t, s, threads)
	text := string(l.AppendTraceback(nil, &l.Goroutines[0], stream.Traceback{}))
	if strings.Contains(text, "runtime.") || !strings.Contains(text, "main.inlined") {
		t.Errorf("got\n%s", text)
	}
	if text = string(l.AppendTraceback(nil, &l.Goroutines[3], stream.Traceback{})); strings.Contains(text, "wrapper") {
		t.Errorf("got\n%s", text)
	}
}

// TestHostile reads programs in which one word after another is changed.
func TestHostile(t *testing.T) {
	victims.SkipEmulated(t, "its bytes are the same everywhere")
	values := []uint64{0, 1, 1<<64 - 1, 1 << 31, 1<<32 - 8, synthBase, synthBase + synthPcln, synthBase + synthSize - 4, 1 << 20, 0x1000}
	for _, m := range machines[:3] {
		step := 8
		if testing.Short() {
			step = 64
		}
		for off := synthTypes; off < synthHeap+0x4000; off += step {
			s, threads := sample(m.arch, m.o, off%16 == 0)
			off := off
			if s.ptr(s.b[off:]) == 0 {
				continue
			}
			s.putPtr(off, values[off/step%len(values)])
			run(s, threads)
		}
	}
}

// run calls every operation on a program, whatever is in it.
func run(s *synth, threads []Thread) []byte {
	p, space := new(Program), new(testSpace)
	if p.Find(s, space, s.image()) != nil {
		return nil
	}
	c := new(Capture)
	if !p.Capture(c, s, space, threads, 0, Limits{Goroutines: 1 << 10}) {
		return nil
	}
	b := bytes.Clone(p.Encode(c, s, space, s))
	for i := range threads {
		var f Fault
		if space.used = 0; p.FindFault(&f, s, space, threads[i].TID, threads[i].SP) == FaultFound && f.PC == 0 && f.SP == 0 {
			panic("a fault nowhere")
		}
	}
	return b
}

// FuzzProgram changes the memory of a program: every 6 bytes of the input are an offset and a value for a word.
func FuzzProgram(f *testing.F) {
	f.Add(byte(1), []byte{0, 0xb1, 0, 0, 0, 1})
	f.Add(byte(4), []byte{0xe0, 0x10, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, which byte, patches []byte) {
		m := machines[int(which)%len(machines)]
		s, threads := sample(m.arch, m.o, which&0x80 != 0)
		for len(patches) >= 7 {
			off := int(binary.LittleEndian.Uint16(patches))<<1 | int(patches[6]&1)
			v := uint64(binary.LittleEndian.Uint32(patches[2:]))
			if patches[6]&2 != 0 {
				v += synthBase
			}
			if patches[6]&4 != 0 {
				v = uint64(int64(int32(v)))
			}
			if off+8 <= len(s.b) {
				if patches[6]&8 != 0 {
					s.b[off] = byte(v)
				} else {
					s.putPtr(off, v)
				}
			}
			patches = patches[7:]
		}
		if b := run(s, threads); b != nil {
			if _, err := stream.ParseGoroutineList(b, s.o); err != nil {
				t.Fatal(err)
			}
		}
	})
}
