package goruntime

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"minidump/stream"
)

var (
	goroutineHead = regexp.MustCompile(`^goroutine (\d+)(?: gp=\S+ m=\S+(?: mp=\S+)?)? (\[.*\].*:)$`)
	minutes       = regexp.MustCompile(`, \d+ minutes`)
	frameTail     = regexp.MustCompile(` fp=0x.*$`)
)

// blocks splits a traceback into goroutines: their lines without arguments, by number.
func blocks(text string) map[int]string {
	out := map[int]string{}
	var b *strings.Builder
	id := -1
	flush := func() {
		if b != nil && id >= 0 {
			out[id] = b.String()
		}
		b = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := goroutineHead.FindStringSubmatch(line); m != nil {
			flush()
			id, _ = strconv.Atoi(m[1])
			b = new(strings.Builder)
			fmt.Fprintf(b, "%s\n", minutes.ReplaceAllString(m[2], ""))
			continue
		}
		if b == nil {
			continue
		}
		if line == "" {
			flush()
			continue
		}
		if line[0] == '\t' {
			line = frameTail.ReplaceAllString(line, "")
		} else if !strings.HasPrefix(line, "created by ") && strings.HasSuffix(line, ")") {
			line = line[:strings.LastIndexByte(line, '(')] + "(...)"
		}
		fmt.Fprintf(b, "%s\n", line)
	}
	flush()
	return out
}

// compare lists the goroutines of a program, ends the program and compares the list with what its runtime prints.
func compare(t *testing.T, level, path string, args ...string) {
	v := start(t, level, path, args...)
	l := list(t, v.pid)
	all := level == "system"
	if all {
		v.cmd.Process.Signal(syscall.SIGQUIT) // whose traceback always has level system
	} else {
		v.stdin.Close()
	}
	v.wait()
	theirs := blocks(v.stderr.String())
	ours := map[int]string{}
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		if g.Flags&stream.GoSystem != 0 && !all {
			continue
		}
		for id, b := range blocks(string(l.AppendTraceback(nil, g, stream.Traceback{All: all, Labels: strings.Contains(theirs[int(g.ID)], "] {")}))) {
			ours[id] = b
		}
	}
	delete(theirs, 0) // the system stack of the thread that took the signal
	if !all {
		delete(ours, 1) // it continued, and panics
		delete(theirs, 1)
	}
	bad := 0
	for _, id := range slices.Sorted(maps.Keys(theirs)) {
		switch our, ok := ours[id]; {
		case !ok:
			bad++
			t.Errorf("goroutine %d is missing:\n%s", id, theirs[id])
		case our != theirs[id]:
			if bad++; bad < 5 {
				t.Errorf("goroutine %d: ours\n%s\nthe runtime's\n%s", id, our, theirs[id])
			}
		}
	}
	for id := range ours {
		if _, ok := theirs[id]; !ok {
			t.Errorf("goroutine %d is not in the runtime's traceback:\n%s", id, ours[id])
		}
	}
	if len(theirs) < 30 {
		t.Errorf("only %d goroutines in the traceback:\n%s", len(theirs), v.stderr.String())
	}
	t.Logf("%d goroutines, %d different", len(theirs), bad)
}

// TestTraceback compares the list with the runtime's own traceback. If GORUNTIME_MATRIX is set, it builds the program in
// each way with each of the toolchains named in it, "go1.25.14,go1.26.11,go1.27.4".
func TestTraceback(t *testing.T) {
	type variant struct {
		toolchain, mode string
		cgo, stripped   bool
	}
	variants := []variant{{"", "exe", false, false}}
	if runtime.GOARCH == "amd64" {
		variants = append(variants, variant{"", "pie", false, true}, variant{"", "exe", true, true})
	}
	if list := os.Getenv("GORUNTIME_MATRIX"); list != "" {
		variants = nil
		for toolchain := range strings.SplitSeq(list, ",") {
			for _, stripped := range [2]bool{false, true} {
				variants = append(variants, variant{toolchain, "exe", false, stripped}, variant{toolchain, "pie", false, stripped},
					variant{toolchain, "exe", true, stripped})
			}
		}
	}
	for _, v := range variants {
		name := fmt.Sprintf("%s %s cgo=%v stripped=%v", v.toolchain, v.mode, v.cgo, v.stripped)
		t.Run(strings.TrimSpace(name), func(t *testing.T) {
			flags := []string{"-buildmode=" + v.mode}
			if v.stripped {
				flags = append(flags, "-ldflags=-s -w")
			}
			path := build(t, v.toolchain, v.cgo, flags...)
			compare(t, "all", path, "30")
			compare(t, "system", path, "30")
		})
	}
}
