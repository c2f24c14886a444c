package archtest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"minidump"
	"minidump/context"
	_ "minidump/context/insn" // a core file of s390x has only the page of the fault
	"minidump/stream"
)

var dumps = flag.String("dumps", "", "folder with the dumps of another machine")

// reading is what is expected of an architecture.
type reading struct {
	arch   context.Arch
	big    bool
	walker string // minidump-stackwalk's name of the CPU
	frames int    // how many functions of a crash it finds with symbols, starting at the innermost
}

var readings = map[string]reading{
	"386":       {context.X86, false, "x86", 4},
	"amd64":     {context.AMD64, false, "amd64", 4},
	"arm":       {context.ARM, false, "arm", 4},
	"arm64":     {context.ARM64, false, "arm64", 4},
	"mipsle":    {context.MIPS, false, "mips", 4},
	"mips64le":  {context.MIPS64, false, "mips64", 0},
	"mips":      {context.MIPS, true, "mips", 4},
	"mips64":    {context.MIPS64, true, "mips64", 0},
	"mips64n32": {context.MIPS64, true, "mips64", 0},
	"ppc":       {context.PPC, true, "ppc", 1}, // it has no unwinder for ppc and ppc64
	"ppc64":     {context.PPC64, true, "ppc64", 1},
	"ppc64le":   {context.PPC64, false, "ppc64", 1},
	"riscv64":   {context.RISCV64, false, "unknown", 0},
	"s390x":     {context.S390X, true, "unknown", 0},
	"loong64":   {context.LOONG64, false, "unknown", 0},
}

// report is the part of minidump-stackwalk's JSON that is examined.
type report struct {
	Status    string
	PID       int
	CrashInfo struct {
		Type           string
		Address        string
		CrashingThread *int `json:"crashing_thread"`
	} `json:"crash_info"`
	Modules    []reportModule
	SystemInfo struct {
		OS       string
		CPUArch  string `json:"cpu_arch"`
		CPUCount int    `json:"cpu_count"`
	} `json:"system_info"`
	Threads []struct {
		ID     int    `json:"thread_id"`
		Name   string `json:"thread_name"`
		Frames []struct{ Function, Module, Trust string }
	}
}

type reportModule struct {
	Filename    string
	DebugID     string `json:"debug_id"`
	CodeID      string `json:"code_id"`
	BaseAddress string `json:"base_addr"`
}

// convertedCore is the name of a dump that this machine made from a core file.
const convertedCore = "core.dmp"

func TestReadOnHost(t *testing.T) {
	if *dumps == "" {
		t.Skip("no dumps of another machine given")
	}
	files, err := filepath.Glob(filepath.Join(*dumps, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dumps in %s: %v", *dumps, err)
	}
	symbols := map[string]string{} // folders by GOARCH
	all := t
	for _, note := range files {
		path := strings.TrimSuffix(note, ".json")
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(note)
			if err != nil {
				t.Fatal(err)
			}
			file := path + ".dmp"
			if _, err := os.Stat(path + ".core.gz"); err == nil {
				file = filepath.Join(t.TempDir(), convertedCore)
				convert(t, path+".core.gz", file)
			}
			var n Note
			if err := json.Unmarshal(b, &n); err != nil {
				t.Fatal(err)
			}
			want, known := readings[n.GOARCH]
			if !known {
				t.Fatalf("nothing is known of %q", n.GOARCH)
			}
			dump, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := stream.OpenFile(dump)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			decode(t, f, &n, want)
			syms := ""
			if n.Functions != nil && want.frames > 0 {
				if symbols[n.GOARCH] == "" {
					symbols[n.GOARCH] = all.TempDir()
					run(t, "dump_syms", "-s", symbols[n.GOARCH], filepath.Join(*dumps, n.Program))
				}
				syms = symbols[n.GOARCH]
			}
			walk(t, file, f, &n, want, syms)
		})
	}
}

// convert makes a dump of a core file that was written by the other machine's kernel, with this machine's program.
func convert(t *testing.T, core, dump string) {
	t.Helper()
	f, err := os.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	w, err := minidump.OpenCore(bytes.NewReader(b), int64(len(b)), minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, err := w.DumpFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.SoftErrors() {
		text := e.Error()
		if strings.Contains(text, "read code around IP") { // the program's file is not on this machine
			continue
		}
		if strings.Contains(text, "identify module") && strings.Contains(core, "mips64") { // the note is not in the first page
			continue
		}
		t.Errorf("soft error: %s", text)
	}
}

// decode reads a dump with our own decoder.
func decode(t *testing.T, f *stream.File, n *Note, want reading) {
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if want.big {
		order = binary.BigEndian
	}
	info, _, err := f.SystemInfo()
	if err != nil || context.ArchOfProcessor(info.ProcessorArchitecture) != want.arch || f.Order != order {
		t.Errorf("processor %#x, byte order %v, want %v, %v: %v", info.ProcessorArchitecture, f.Order, want.arch, order, err)
	}
	threads, err := f.Threads()
	if err != nil || len(threads) != n.Threads {
		t.Errorf("%d threads, want %d: %v", len(threads), n.Threads, err)
	}
	for _, th := range threads {
		rec, err := f.Context(th.Context)
		if err != nil {
			t.Error(err)
			continue
		}
		cpu, err := context.Decode(want.arch, rec, f.Order)
		if err != nil {
			t.Errorf("thread %d: %v", th.ThreadID, err)
			continue
		}
		if end := th.Stack.Start + uint64(th.Stack.Memory.DataSize); cpu.SP < th.Stack.Start || cpu.SP >= end {
			t.Errorf("thread %d: SP %#x, stack %#x-%#x", th.ThreadID, cpu.SP, th.Stack.Start, end)
		}
	}
	misc, err := f.MiscInfo()
	if err != nil || int(misc.ProcessID) != n.PID {
		t.Errorf("process %d, want %d: %v", misc.ProcessID, n.PID, err)
	}
	e, err := f.Exception()
	if err != nil || int(e.ThreadID) != n.Blamed || n.Signal != 0 && (int(e.Code) != n.Signal || e.Address != n.Address) {
		t.Errorf("exception %+v: %v", e, err)
	}
}

// walk reads a dump with minidump-stackwalk.
func walk(t *testing.T, file string, f *stream.File, n *Note, want reading, symbols string) {
	args := []string{"--json"}
	if symbols != "" {
		args = append(args, "--symbols-path", symbols)
	}
	var r report
	out := run(t, "minidump-stackwalk", append(args, file)...)
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, _, _ := f.SystemInfo()
	if r.Status != "OK" || r.PID != n.PID || r.SystemInfo.CPUArch != want.walker || r.SystemInfo.OS != "Linux" ||
		r.SystemInfo.CPUCount != int(info.NumberOfProcessors) {
		t.Errorf("status %s, process %d, want %d; %+v", r.Status, r.PID, n.PID, r.SystemInfo)
	}
	threads, _ := f.Threads()
	names, _ := f.ThreadNames()
	if len(r.Threads) != len(threads) {
		t.Fatalf("%d threads, the decoder says %d", len(r.Threads), len(threads))
	}
	for i, th := range r.Threads {
		if id := threads[i].ThreadID; th.ID != int(id) || th.Name != names[id] {
			t.Errorf("thread %d %q, want %d %q", th.ID, th.Name, id, names[id])
		}
		if want.walker != "unknown" && want.walker != "mips64" && len(th.Frames) == 0 {
			t.Errorf("thread %d has no frames", th.ID)
		}
	}
	mods, _ := f.Modules()
	if len(r.Modules) != len(mods) {
		t.Fatalf("%d modules, the decoder says %d", len(r.Modules), len(mods))
	}
	for _, m := range mods { // its list is sorted differently
		if !slices.ContainsFunc(r.Modules, func(o reportModule) bool {
			var base uint64
			fmt.Sscanf(o.BaseAddress, "0x%x", &base)
			id := m.DebugID
			if id == "" { // the reader prints zeros
				id = strings.Repeat("0", 33)
			}
			return base == m.BaseOfImage && o.Filename == filepath.Base(m.Name) && o.DebugID == id && o.CodeID == m.CodeID
		}) {
			t.Errorf("module %s at %#x with debug id %s is not in %+v", m.Name, m.BaseOfImage, m.DebugID, r.Modules)
		}
	}
	if n.Signal != 0 {
		if r.CrashInfo.CrashingThread == nil {
			t.Fatal("no crashing thread")
		}
		var address uint64
		fmt.Sscanf(r.CrashInfo.Address, "0x%x", &address)
		if !strings.HasPrefix(r.CrashInfo.Type, "SIG") || address != n.Address {
			t.Errorf("%+v, want address %#x", r.CrashInfo, n.Address)
		}
		if th := r.Threads[*r.CrashInfo.CrashingThread]; th.ID != n.Blamed {
			t.Errorf("thread %d crashed, want %d", th.ID, n.Blamed)
		} else if symbols != "" {
			var got []string
			for _, frame := range th.Frames {
				got = append(got, frame.Function)
			}
			if k := want.frames; len(got) < k || !slices.Equal(got[:k], n.Functions[:k]) {
				t.Errorf("frames %q, want %q", got, n.Functions)
			}
		}
	}
	if strings.HasSuffix(file, "full.dmp") || want.arch == context.PPC || want.arch == context.PPC64 {
		return // printing all its memory would take a while; and for ppc and ppc64 it can't show the registers
	}
	text := string(run(t, "minidump-stackwalk", "--dump", file))
	parts := []string{"MinidumpThreadList", "MinidumpModuleList", "MinidumpMemoryInfoList",
		"MINIDUMP_EXCEPTION", "MINIDUMP_MISC_INFO", "Stream LinuxCmdLine:", "Stream LinuxEnviron:"}
	if filepath.Base(file) != convertedCore { // a core file has neither
		parts = append(parts, "MinidumpHandleDataStream", "Stream LinuxProcStatus:")
	}
	for _, part := range parts {
		if !strings.Contains(text, "\n"+part) {
			t.Errorf("--dump has no %s", part)
		}
	}
	for _, d := range f.Directory {
		if !strings.Contains(text, fmt.Sprintf("location.rva       = %#x\n", d.Location.RVA)) {
			t.Errorf("--dump has no stream at %#x: %v", d.Location.RVA, d.Type)
		}
	}
}

// run runs one of the tools that .ci/run installs.
func run(t *testing.T, tool string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		home, _ := os.UserHomeDir()
		if path, err = exec.LookPath(filepath.Join(home, ".cache/minidump-ci/cargo/bin", tool)); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing, and CI=true", tool)
			}
			t.Skipf("%s is missing", tool)
		}
	}
	cmd := exec.Command(path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, &stderr)
	}
	return out
}
