package stackwalk_test

import (
	"bytes"
	stdelf "debug/elf"
	"fmt"

	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump"
	"minidump/stackwalk"
	"minidump/stream"
)

// dump makes a dump of a process and opens it.
func dump(t testing.TB, pid int, o minidump.Options) *stream.File {
	t.Helper()
	o.StopTimeout = 20 * time.Second
	w, err := minidump.NewWriter(pid, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return written(t, w)
}

func written(t testing.TB, w *minidump.Writer) *stream.File {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fromCore converts a core file.
func fromCore(t testing.TB, path string) *stream.File {
	t.Helper()
	core, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	info, _ := core.Stat()
	w, err := minidump.OpenCore(core, info.Size(), minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return written(t, w)
}

// process returns a Process for a dump. The files of its modules are read from this machine.
func process(t testing.TB, f *stream.File) *stackwalk.Process {
	t.Helper()
	p, err := stackwalk.FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	p.Load = func(i int) {
		if file, err := os.Open(p.Modules[i].Name); err == nil {
			if image, err := stdelf.NewFile(file); err == nil {
				p.Modules[i].Image = image
			}
			t.Cleanup(func() { file.Close() })
		}
	}
	return p
}

// walk returns the frames of every thread.
func walk(t testing.TB, f *stream.File, p *stackwalk.Process) map[uint32][]stackwalk.Frame {
	t.Helper()
	threads, err := f.Threads()
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint32][]stackwalk.Frame{}
	for i := range threads {
		cpu, err := stackwalk.ThreadCPU(f, &threads[i])
		if err != nil {
			t.Fatal(err)
		}
		all[threads[i].ThreadID] = p.Walk(cpu)
	}
	return all
}

// describe formats frames for a message.
func describe(p *stackwalk.Process, frames []stackwalk.Frame) string {
	var b strings.Builder
	for i := range frames {
		f := &frames[i]
		name := "?"
		if f.Module >= 0 {
			name = fmt.Sprintf("%s+%#x", p.Modules[f.Module].Name, f.PC-p.Modules[f.Module].Base)
		}
		fmt.Fprintf(&b, "%3d %#x sp %#x %s %v %v\n", i, f.PC, f.SP, name, f.Trust, f.Signal)
	}
	return b.String()
}

// names are the functions of an ELF file.
type names []stdelf.Symbol

// readNames returns nil for a file without a symbol table.
func readNames(path string) names {
	f, err := stdelf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil
	}
	symbols = slices.DeleteFunc(symbols, func(s stdelf.Symbol) bool {
		kind := stdelf.ST_TYPE(s.Info)
		return kind != stdelf.STT_FUNC && !(kind == stdelf.STT_NOTYPE && strings.HasSuffix(s.Name, ".cold")) || s.Value == 0
	})
	for i := range symbols {
		if f.Machine == stdelf.EM_ARM {
			symbols[i].Value &^= 1 // the Thumb bit
		}
	}
	if opd := f.Section(".opd"); opd != nil { // 64-bit PowerPC: symbols refer to descriptors, which begin with the address
		b, _ := opd.Data()
		for i := range symbols {
			if off := symbols[i].Value - opd.Addr; off+8 <= uint64(len(b)) {
				symbols[i].Value = f.ByteOrder.Uint64(b[off:])
			}
		}
	}
	slices.SortFunc(symbols, func(a, b stdelf.Symbol) int { return int(int64(a.Value) - int64(b.Value)) })
	return symbols
}

// at returns the name of the function that contains a link-time address.
func (n names) at(addr uint64) string {
	i, _ := slices.BinarySearchFunc(n, addr+1, func(s stdelf.Symbol, a uint64) int { return int(int64(s.Value) - int64(a)) })
	for i--; i >= 0 && i < len(n); i-- {
		if s := &n[i]; addr-s.Value < max(s.Size, 1) || s.Size == 0 {
			return s.Name
		}
		if addr-n[i].Value > 1<<20 {
			break
		}
	}
	return "?"
}

// settle waits until all threads of a process are waiting in a system call.
func settle(t testing.TB, pid int) {
	t.Helper()
	for quiet, n := 0, 0; quiet < 3; n++ {
		if n > 1000 {
			t.Fatal("the process does not come to rest")
		}
		time.Sleep(10 * time.Millisecond)
		quiet++
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, file := range files {
			b, _ := os.ReadFile(file)
			if i := bytes.LastIndexByte(b, ')'); i < 0 || i+2 >= len(b) || b[i+2] != 'S' {
				quiet = 0
			}
		}
	}
}

// processOfPE is process with PE files. Wine names a module by its path, or, if it is copied, not at all.
func processOfPE(t testing.TB, f *stream.File, program string) *stackwalk.Process {
	t.Helper()
	p := process(t, f)
	loadELF := p.Load
	p.Load = func(i int) {
		loadELF(i)
		if p.Modules[i].Image != nil {
			return
		}
		if file, err := os.Open(p.Modules[i].Name); err == nil {
			if mapped, err := stackwalk.NewPE(file); err == nil {
				p.Modules[i].Mapped = mapped
			}
			t.Cleanup(func() { file.Close() })
		}
	}
	return p
}
