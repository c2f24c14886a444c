package stackwalk_test

import (
	"bufio"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"minidump"
	"minidump/internal/victims"
	"minidump/stackwalk"
)

// TestWindows walks a Windows program under Wine, by its unwind codes.
func TestWindows(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is for amd64")
	}
	victims.SkipEmulated(t, "Wine does not run there")
	for _, flags := range []string{"-O0", "-O2", "-O2 -fno-omit-frame-pointer"} {
		t.Run(flags, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "sw.exe")
			args := append(strings.Fields(flags), "-Wl,--file-alignment=4096", "-o", program, "testdata/windows.c") // so that Wine maps the file
			victims.Output(t, victims.Tool(t, "x86_64-w64-mingw32-gcc"), args...)
			pid := startWine(t, program)
			want := "innermost large with_alloca deep deep deep deep deep deep compare saves main"
			var p *stackwalk.Process
			for range 100 { // after its line the program may still be in the system's code for a while
				f := dump(t, pid, minidump.Options{})
				p = processOfPE(t, f, program)
				for _, frames := range walk(t, f, p) {
					if got := strings.Join(peNames(t, p, frames, program), " "); got == want {
						if last := frames[len(frames)-1]; last.Module >= 0 && strings.HasSuffix(p.Modules[last.Module].Name, "sw.exe") {
							t.Errorf("the walk ends in the program\n%s", describe(p, frames))
						}
						return
					} else if got != "" {
						t.Errorf("functions\n%s\nwant\n%s\n%s", got, want, describe(p, frames))
						return
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Errorf("no thread is in the program: %d modules", len(p.Modules))
			for _, m := range p.Modules {
				t.Logf("%#x %#x %s", m.Base, m.Size, m.Name)
			}
		})
	}
}

// startWine starts a program and returns its process id after the program has printed a line.
func startWine(t *testing.T, program string) int {
	t.Helper()
	cmd := exec.Command(victims.Tool(t, "wine"), program)
	cmd.Env = append(os.Environ(), "WINEDEBUG=-all", "DISPLAY=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("%q %v", line, err)
	}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		comm, _ := os.ReadFile(folder + "/comm")
		line, _ := os.ReadFile(folder + "/cmdline")
		if strings.TrimSpace(string(comm)) == "sw.exe" && strings.Contains(string(line), filepath.Base(filepath.Dir(program))) {
			pid, _ := strconv.Atoi(filepath.Base(folder))
			if own, err := os.FindProcess(pid); err == nil {
				t.Cleanup(func() { own.Kill() })
			}
			return pid
		}
	}
	t.Fatal("the process is not found")
	return 0
}

// peNames returns the functions of the program in frames, without those of the C runtime.
func peNames(t *testing.T, p *stackwalk.Process, frames []stackwalk.Frame, program string) []string {
	t.Helper()
	f, err := pe.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := strings.Fields("innermost large with_alloca deep compare saves main")
	var all []string
	for i := range frames {
		if m := frames[i].Module; m < 0 || !strings.HasSuffix(p.Modules[m].Name, "sw.exe") {
			continue
		} else if name := peName(f, uint32(frames[i].Lookup()-p.Modules[m].Base)); slices.Contains(known, name) {
			all = append(all, name)
		}
	}
	return all
}

// peName returns the last symbol before an RVA.
func peName(f *pe.File, rva uint32) string {
	name, best := "?", uint32(0)
	for _, s := range f.Symbols {
		if s.SectionNumber < 1 || int(s.SectionNumber) > len(f.Sections) || s.Type != 0x20 {
			continue
		}
		if at := f.Sections[s.SectionNumber-1].VirtualAddress + s.Value; at <= rva && at >= best {
			name, best = s.Name, at
		}
	}
	return name
}
