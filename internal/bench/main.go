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
	"runtime"
	"strconv"
	"syscall"
	"time"

	"minidump"
)

// Globals, as they would take 16 KB of the stack.
var (
	before, after runtime.MemStats
	text          [256]byte // a line of output
	start         [4096]byte
)

func main() { syscall.Exit(run(args())) }

func fail(text string) int {
	print("bench: " + text + "\n")
	return 1
}

// args are the arguments of the program. Package os has them too, but takes a hundred kilobytes in a program that has no other
// use for it; package minidump has none on Linux.
func args() (list []string) {
	for text := readFile("/proc/self/cmdline"); len(text) > 0; {
		arg, rest, _ := bytes.Cut(text, []byte{0})
		list, text = append(list, string(arg)), rest
	}
	if len(list) > 0 {
		list = list[1:]
	}
	return list
}

// file is a file that is open.
type file int

func (f file) Write(p []byte) (int, error) { return syscall.Write(int(f), p) }

// number reads a decimal number, not below 0.
func number(text string) (n int) {
	for _, c := range []byte(text) {
		n = 10*n + int(c-'0')
	}
	return n
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
	f.pid = number(args[0])
	f.Thread = number(args[1])
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
			f.repeat = number(value())
		case "--gap-ms":
			f.gap = number(value())
		case "--uncounted":
			f.counted = false
		case "--limit":
			f.Limit = uint64(number(value()))
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
	fd, err := syscall.Open(args[2], syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("open " + args[2] + ": " + err.Error())
	}
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
		if _, err := syscall.Seek(fd, 0, 0); err != nil {
			return fail(err.Error())
		}
		r, err := w.Dump(file(fd))
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
		syscall.Write(1, append(line, '\n'))
		if flags.gap > 0 {
			// Not time.Sleep, for whose timer the runtime starts a thread.
			ts := syscall.NsecToTimespec(int64(flags.gap) * 1e6)
			syscall.Nanosleep(&ts, nil)
		}
	}
	line = field(line[:0], "median_ns=", median(total))
	line = field(line, " median_pause_ns=", median(pause))
	line = field(line, " hwm_kb=", statusKB("VmHWM:")-counting)
	syscall.Write(1, append(line, '\n'))
	return 0
}

// median sorts the values. There are few of them.
func median(values []int64) int64 {
	for i, v := range values {
		for ; i > 0 && values[i-1] > v; i-- {
			values[i] = values[i-1]
		}
		values[i] = v
	}
	return values[len(values)/2]
}

//go:noinline
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
	_, b, _ := bytes.Cut(readFile("/proc/self/status"), []byte(key))
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

// readFile reads the start of a file of /proc. It is valid until the next call.
func readFile(path string) []byte {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	n, _ := syscall.Read(fd, start[:])
	return start[:max(n, 0)]
}
