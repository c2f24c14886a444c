//go:build linux

// Bench dumps one process again and again and prints what each dump cost, in the form that the programs beside it print:
//
//	go run ./internal/bench PID TID OUT --repeat K --gap-ms G [--uncounted] [--limit N] [--mode M] [--sanitize]
//
// It prints for each dump "dump K ns=N pause_ns=N allocs=N alloc_bytes=N size=N" and at the end "median_ns=N
// median_pause_ns=N hwm_kb=N". It uses nothing that would make its own memory larger than that of the writer. Of the peak
// that the kernel tells it takes off most of what the counting of allocations took (countingKB); with --uncounted there are no
// counts, and the peak is that of the dumps alone.
package main

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"minidump"
)

// Globals, as the two would take 12 KB of the stack.
var (
	before, after runtime.MemStats
	text          [256]byte // a line of output
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func fail(text string) int {
	os.Stderr.WriteString("bench: " + text + "\n")
	return 1
}

// flags are a variable of the package, as they would take room on the stack of all dumps.
var flags = struct {
	pid, repeat, gap int
	counted          bool
	minidump.Options
}{repeat: 1, counted: true}

func parse(args []string) (complaint string) {
	if len(args) < 3 {
		return "usage: bench PID TID OUT [--repeat K] [--gap-ms G] [--uncounted] [--limit N] [--mode stack|indirect|full] [--sanitize]"
	}
	f := &flags
	f.pid, _ = strconv.Atoi(args[0])
	f.Thread, _ = strconv.Atoi(args[1])
	for i := 3; i < len(args); i++ {
		value := func() string {
			i++
			if i >= len(args) {
				return ""
			}
			return args[i]
		}
		switch args[i] {
		case "--repeat":
			f.repeat, _ = strconv.Atoi(value())
		case "--gap-ms":
			f.gap, _ = strconv.Atoi(value())
		case "--uncounted":
			f.counted = false
		case "--limit":
			f.Limit, _ = strconv.ParseUint(value(), 10, 64)
		case "--sanitize":
			f.SanitizeStacks = true
		case "--mode":
			switch value() {
			case "indirect":
				f.Mode = minidump.ModeIndirect
			case "full":
				f.Mode = minidump.ModeFull
			}
		default:
			return "unknown flag " + args[i]
		}
	}
	return ""
}

func run(args []string) int {
	if complaint := parse(args); complaint != "" {
		return fail(complaint)
	}
	var counting int64
	if flags.counted {
		counting = countingKB()
	}
	w, err := minidump.NewWriter(flags.pid, flags.Options)
	if err != nil {
		return fail(err.Error())
	}
	defer w.Close()
	// Not os.OpenFile, which readies the runtime's poller for files that can be waited for.
	fd, err := syscall.Open(args[2], syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("open " + args[2] + ": " + err.Error())
	}
	f := os.NewFile(uintptr(fd), args[2])
	line := text[:0]
	total, pause := make([]int64, 0, flags.repeat), make([]int64, 0, flags.repeat)
	for k := range flags.repeat {
		if flags.counted {
			runtime.ReadMemStats(&before)
		}
		start := time.Now()
		// The writer beside us opens its file anew for each dump; so the cost of emptying it counts here too.
		if syscall.Ftruncate(fd, 0) != nil {
			return fail("truncate " + args[2])
		}
		if _, err := f.Seek(0, 0); err != nil {
			return fail(err.Error())
		}
		r, err := w.Dump(f)
		ns := time.Since(start).Nanoseconds()
		if flags.counted {
			runtime.ReadMemStats(&after)
		}
		if err != nil {
			return fail(err.Error())
		}
		total, pause = append(total, ns), append(pause, r.Pause.Nanoseconds())
		line = append(line[:0], "dump "...)
		line = strconv.AppendInt(line, int64(k), 10)
		line = field(line, " ns=", ns)
		line = field(line, " pause_ns=", r.Pause.Nanoseconds())
		if flags.counted {
			line = field(line, " allocs=", int64(after.Mallocs-before.Mallocs))
			line = field(line, " alloc_bytes=", int64(after.TotalAlloc-before.TotalAlloc))
		}
		line = field(line, " size=", int64(r.Size))
		os.Stdout.Write(append(line, '\n'))
		if flags.gap > 0 {
			// Not time.Sleep, for whose timer the runtime starts a thread.
			ts := syscall.NsecToTimespec(int64(flags.gap) * 1e6)
			syscall.Nanosleep(&ts, nil)
		}
	}
	slices.Sort(total)
	slices.Sort(pause)
	line = field(line[:0], "median_ns=", total[len(total)/2])
	line = field(line, " median_pause_ns=", pause[len(pause)/2])
	line = field(line, " hwm_kb=", statusKB("VmHWM:")-counting)
	os.Stdout.Write(append(line, '\n'))
	return 0
}

func field(line []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(line, name...), v, 10)
}

// countingKB calls runtime.ReadMemStats a first time and returns the kilobytes that this took: some 300, as it makes the
// runtime set up a list of spans for each size of object, which a program that asks for no statistics never has.
func countingKB() int64 {
	rss := statusKB("VmRSS:")
	runtime.ReadMemStats(&before)
	return statusKB("VmRSS:") - rss
}

// statusKB is a line of this process's status that gives kilobytes.
func statusKB(key string) int64 {
	buf := make([]byte, 4096)
	fd, err := syscall.Open("/proc/self/status", syscall.O_RDONLY, 0)
	if err != nil {
		return 0
	}
	n, _ := syscall.Read(fd, buf)
	syscall.Close(fd)
	_, b, _ := bytes.Cut(buf[:max(n, 0)], []byte(key))
	var v int64
	for _, c := range b {
		if c >= '0' && c <= '9' {
			v = 10*v + int64(c-'0')
		} else if v > 0 {
			break
		}
	}
	return v
}
