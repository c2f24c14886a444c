//go:build linux

// Bench dumps one process repeatedly and prints what each dump cost, in the same form as the other benchmark programs:
//
//	go run ./internal/bench PID TID OUT --repeat K --gap-ms G [--uncounted] [--limit N] [--mode M] [--sanitize]
//
// For each dump it prints "dump K ns=N pause_ns=N allocs=N alloc_bytes=N size=N", and at the end "median_ns=N
// median_pause_ns=N hwm_kb=N". It avoids everything that would make its memory larger than the writer's. From the peak that
// the kernel reports it subtracts most of what counting the allocations cost (countingKB). With --uncounted nothing is
// counted, and the peak is that of the dumps alone.
package main

import (
	"bytes"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"minidump"
	"minidump/internal/sys"
)

// These are globals because on the heap each size would occupy two pages, and on the stack they would make it grow.
var (
	before, after runtime.MemStats
	cmdline       [4096]byte
	argv          [64][]byte
	start         [4096]byte     // of a file
	text          [256]byte      // a line of output
	times         [2][1024]int64 // total and pause of each dump
	gap           syscall.Timespec
)

func main() { syscall.Exit(run(args())) }

func fail(text string) int {
	print("bench: " + text + "\n")
	return 1
}

// args returns the arguments of the program. Package os has them too, but costs a hundred kilobytes in a program that has no
// other use for it; package minidump does not import it on Linux.
func args() [][]byte {
	n := 0
	for text := readFile("/proc/self/cmdline\x00", cmdline[:]); len(text) > 0 && n < len(argv); n++ {
		argv[n], text, _ = bytes.Cut(text, []byte{0})
	}
	return argv[min(1, n):n]
}

// file is the descriptor of an open file.
type file int

func (f file) Write(p []byte) (int, error) { return syscall.Write(int(f), p) }

// number parses a non-negative decimal number; -1 if text is not one.
func number(text []byte) (n int) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// flags is a package variable because it would need room on the stack of all dumps.
var flags = struct {
	pid, repeat, gap int
	counted          bool
	minidump.Options
}{repeat: 1, counted: true}

func parse(args [][]byte) (complaint string) {
	if len(args) < 3 {
		return "usage: bench PID TID OUT [--repeat K] [--gap-ms G] [--uncounted] [--limit N] [--mode stack|indirect|full] [--sanitize]"
	}
	f := &flags
	f.pid, f.Thread = number(args[0]), number(args[1])
	for args = args[3:]; len(args) > 0; args = args[1:] {
		var value []byte
		if len(args) > 1 {
			value = args[1]
		}
		switch string(args[0]) {
		case "--uncounted":
			f.counted = false
			continue
		case "--sanitize":
			f.SanitizeStacks = true
			continue
		case "--repeat":
			f.repeat = number(value)
		case "--gap-ms":
			f.gap = number(value)
		case "--limit":
			f.Limit = uint64(max(0, number(value)))
		case "--mode":
			switch string(value) {
			case "indirect":
				f.Mode = minidump.ModeIndirect
			case "full":
				f.Mode = minidump.ModeFull
			}
		default:
			return "unknown flag " + string(args[0])
		}
		args = args[min(1, len(args)-1):]
	}
	if f.repeat < 1 || f.repeat > len(times[0]) {
		return "--repeat wants a number from 1 to 1024"
	}
	return ""
}

// run calls what is not inlined: each part has a smaller frame than all of them together, see flags.
func run(args [][]byte) int {
	if complaint := parse(args); complaint != "" {
		return fail(complaint)
	}
	var counting int64
	if flags.counted {
		counting = countingKB()
	}
	w, err := open()
	if err != nil {
		return fail(err.Error())
	}
	out := string(args[2])
	fd, err := syscall.Open(out, syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("open " + out + ": " + err.Error())
	}
	for k := range flags.repeat {
		if err := dump(w, file(fd), k); err != nil {
			return fail("dump to " + out + ": " + err.Error())
		}
		if flags.gap > 0 {
			wait(flags.gap)
		}
	}
	printMedians(counting)
	w.Close()
	return 0
}

//go:noinline
func open() (*minidump.Writer, error) { return minidump.NewWriter(flags.pid, flags.Options) }

// dump makes dump k, and prints what it cost.
//
//go:noinline
func dump(w *minidump.Writer, fd file, k int) error {
	if flags.counted {
		runtime.ReadMemStats(&before)
	}
	start := time.Now()
	// The writer we compare with opens its file anew for each dump, so truncating the file counts here too.
	err := syscall.Ftruncate(int(fd), 0)
	if err == nil {
		_, err = syscall.Seek(int(fd), 0, 0)
	}
	if err != nil {
		return err
	}
	r, err := w.Dump(fd)
	times[0][k], times[1][k] = time.Since(start).Nanoseconds(), r.Pause.Nanoseconds()
	if flags.counted {
		runtime.ReadMemStats(&after)
	}
	if err == nil {
		printDump(k, r.Size)
	}
	return err
}

//go:noinline
func printDump(k int, size uint64) {
	line := field(text[:0], "dump ", int64(k))
	line = field(line, " ns=", times[0][k])
	line = field(line, " pause_ns=", times[1][k])
	if flags.counted {
		line = field(line, " allocs=", int64(after.Mallocs-before.Mallocs))
		line = field(line, " alloc_bytes=", int64(after.TotalAlloc-before.TotalAlloc))
	}
	line = field(line, " size=", int64(size))
	syscall.Write(1, append(line, '\n'))
}

//go:noinline
func printMedians(counting int64) {
	line := field(text[:0], "median_ns=", median(times[0][:flags.repeat]))
	line = field(line, " median_pause_ns=", median(times[1][:flags.repeat]))
	line = field(line, " hwm_kb=", statusKB("VmHWM:")-counting)
	syscall.Write(1, append(line, '\n'))
}

// wait waits for the given number of milliseconds. It does not call time.Sleep, for whose timer the runtime starts a thread.
// It waits in pieces, because the runtime sends a signal to a goroutine that keeps its processor for 10 ms.
func wait(ms int) {
	const piece = 5
	for ; ms > 0; ms -= piece {
		runtime.Gosched()
		gap = syscall.NsecToTimespec(int64(min(ms, piece)) * 1e6)
		syscall.Nanosleep(&gap, nil)
	}
}

// median sorts the values and returns the middle one.
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

// countingKB calls runtime.ReadMemStats for the first time and returns how many kilobytes that cost: about 300, because
// it makes the runtime set up a list of spans for each size class, which a program that reads no statistics never has.
func countingKB() int64 {
	rss := statusKB("VmRSS:")
	runtime.ReadMemStats(&before)
	return statusKB("VmRSS:") - rss
}

// statusKB returns the value in kilobytes of a line of this process's /proc status.
func statusKB(key string) int64 {
	_, b, _ := bytes.Cut(readFile("/proc/self/status\x00", start[:]), []byte(key))
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

// readFile reads a file of /proc, up to the length of b.
func readFile(path string, b []byte) []byte {
	fd, errno := sys.Open(sys.AT_FDCWD, path, syscall.O_RDONLY)
	if errno != 0 {
		return nil
	}
	n, _ := sys.Read(fd, b)
	sys.Close(fd)
	return b[:max(n, 0)]
}
