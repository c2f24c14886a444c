package ptrace

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// prstatusSize is sizeof(elf_gregset_t) per machine: what the kernel must return for NT_PRSTATUS.
var prstatusSize = map[string]int{
	"386": 68, "amd64": 216, "arm": 72, "arm64": 272, "loong64": 360, "mips": 180, "mipsle": 180, "mips64": 360,
	"mips64le": 360, "ppc64": 384, "ppc64le": 384, "riscv64": 256, "s390x": 216,
}

func TestStopReadDetach(t *testing.T) {
	for _, mode := range []string{"beat", "parent beat"} {
		t.Run(mode, func(t *testing.T) {
			v := startVictim(t, mode)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tr := New(v.pid)
			buf := make([]byte, 4096)
			for range 20 {
				ths := stopAll(t, tr, v.pid, time.Second)
				if len(ths) < 2 || count(ths, Stopped) != len(ths) {
					t.Fatalf("not all stopped: %+v", ths)
				}
				before := v.Beats[0].Load()
				for _, th := range ths {
					if s := stateOf(v.pid, int(th.TID)); s != 't' {
						t.Fatalf("state %c of a stopped thread", s)
					}
					n, e := tr.Regset(th.TID, unix.NT_PRSTATUS, buf)
					if e != 0 || n != prstatusSize[runtime.GOARCH] {
						t.Fatalf("Regset: %d bytes, %v", n, e)
					}
				}
				if v.Beats[0].Load() != before {
					t.Fatal("a stopped target counts")
				}
				tr.Detach(ths)
				if n := tr.Leftover(); n != 0 {
					t.Fatalf("%d leftovers", n)
				}
			}
			v.runsOn(t)
		})
	}
}
