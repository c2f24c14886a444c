package crash

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/arena"
	"minidump/internal/goruntime"
)

// A holder is the monitor's counterpart of the signal handler in hold_linux.go.
type holder struct {
	sync.Mutex               // held while a dump is made, so that only one is made at a time
	came       chan struct{} // closed when a thread is held
	judged     chan struct{} // closed when the value of dump is final
	dump       *captured     // nil: there is no dump, or the program survived
}

// newHolder returns a holder, and starts to wait for a thread that the handler holds.
func newHolder(pid, pidfd int, notes *os.File, o *Options) *holder {
	h := &holder{came: make(chan struct{}), judged: make(chan struct{})}
	go func() {
		p := heldThread(notes)
		if p == nil {
			return
		}
		close(h.came)
		defer close(h.judged)
		h.Lock()
		c, err := captureHeld(pid, p, notes, o)
		h.Unlock()
		p.letGo()
		if err != nil {
			fmt.Fprintln(os.Stderr, "crash:", err)
			return
		}
		died, ended := diedOf(pid, pidfd)
		if died {
			h.dump = c
			return
		}
		_ = os.Remove(c.path)
		if !ended {
			fmt.Fprintf(os.Stderr, "crash: process %d continues after %s: such threads are no longer watched\n", pid, p)
		}
	}()
	return h
}

// finish completes the dump of a held thread, if there is one, and reports whether there is one.
func (h *holder) finish(o *Options) bool {
	select {
	case <-h.came:
		<-h.judged
	default:
	}
	if h.dump == nil {
		return false
	}
	h.dump.finish(nil, o)
	return true
}

// captureHeld writes a dump of the program while the signal handler holds one of its threads.
func captureHeld(pid int, p *holdPage, notes *os.File, o *Options) (*captured, error) {
	dir, err := folder(o.Dir)
	if err != nil {
		return nil, err
	}
	crash := readCrash(pid, p)
	c := &captured{path: newName(dir, pid), kind: "signal", tid: int(p.tid), says: p.String(), noFault: true,
		crash: crash != nil && crash.HasContext}
	w, err := c.newWriter(pid, *o, notes)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	w.SetCrash(crash)
	return c, c.write(w)
}

// readCrash returns the Crash at the addresses that the handler has stored; nil if they can't be read.
func readCrash(pid int, p *holdPage) *context.Crash {
	mem, err := openMemory(pid)
	if err != nil {
		return nil
	}
	defer mem.file.Close()
	const (
		siginfoSize  = 128
		ucontextSize = 8 << 10 // with the floating-point registers of arm64
		fpstateAt    = 224     // uc_mcontext.fpstate of amd64
		fpstateSize  = 512
	)
	info, uc := make([]byte, siginfoSize), make([]byte, ucontextSize)
	info, uc = info[:mem.Read(p.info, info)], uc[:mem.Read(p.ucontext, uc)]
	var fp []byte
	if context.Native == context.AMD64 && len(uc) >= fpstateAt+8 {
		fp = make([]byte, fpstateSize)
		fp = fp[:mem.Read(nativeOrder().Uint64(uc[fpstateAt:]), fp)]
	}
	c, _ := context.CrashFromLinux(context.Native, nativeOrder(), int32(pid), int32(p.tid), info, uc, fp)
	return c
}

// survivePatience is how long the monitor waits for the end of a program after a deadly signal.
const survivePatience = 10 * time.Second

// diedOf reports whether the program died of the signal, and whether it has ended. It did not die of the signal if it still
// exists and does not dump core, or if it has ended with status 0. If that can't be determined, diedOf returns true for died.
func diedOf(pid, pidfd int) (died, ended bool) {
	if pidfd < 0 {
		return true, false
	}
	for until := time.Now().Add(survivePatience); ; {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 100); n > 0 {
			e := endOf(pid, pidfd)
			return !e.Known || e.Signal != 0 || e.Status != 0, true
		}
		if time.Now().After(until) && !dumpsCore(pid) {
			return false, false
		}
	}
}

// dumpsCore reports whether a process is writing its core file.
func dumpsCore(pid int) bool {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return bytes.Contains(b, []byte("\nCoreDumping:\t1"))
}

// extraOffset returns the offset of isExtraInC in runtime.m of this program, which the monitor runs too; 0 if it is not found.
func extraOffset() uint32 {
	var space arena.Arena
	if space.Reserve(goruntime.FaultSpace) != nil {
		return 0
	}
	defer space.Release()
	image, ok := programImage(os.Getpid())
	mem, err := openMemory(os.Getpid())
	if !ok || err != nil {
		return 0
	}
	defer mem.file.Close()
	p := new(goruntime.Program)
	if p.Find(mem, &space, image) != nil {
		return 0
	}
	return p.ExtraInC()
}
