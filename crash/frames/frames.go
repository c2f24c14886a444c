// Package frames makes the monitor of package crash name the frames of a crash: import it for that effect.
//
//	import _ "minidump/crash/frames"
//
// The monitor then prints the signature of a crash on standard error beside the dump's path, and the frames of the thread that
// crashed, C code included, unless the runtime's report has them. It adds them to the dump. Names come from the files of the
// program and its libraries on this machine. That takes five seconds at most, after the dump is complete.
//
// It is a package of its own because what reads the symbols makes a program 2.5 MB larger, and 1.9 MB larger in memory, the monitor too
// (docs/crash.md).
package frames

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"

	"minidump/crash/internal/hook"
	"minidump/internal/backtrace"
	"minidump/stream"
)

// maxLines is how many frames are printed.
const maxLines = 32

// limit is how long the search takes at most. Nobody waits for the monitor except its OnDump.
const limit = 5 * time.Second

func init() { hook.Frames = find }

func find(dump string) (signature string, lines []string) {
	r, err := backtrace.Add(dump, backtrace.Options{Limit: limit})
	if r == nil || err != nil && len(r.Threads) == 0 {
		return "", nil
	}
	if t := r.Of(r.Blamed); t != nil {
		for i := range t.Frames {
			if i == maxLines {
				lines = append(lines, fmt.Sprintf("… and %d more", len(t.Frames)-i))
				break
			}
			lines = append(lines, printable(fmt.Sprintf("#%-2d %012x  %s", i, t.Frames[i].PC, place(&t.Frames[i], r.Modules))))
		}
	}
	return printable(r.Signature), lines
}

// place is where a frame is, as "app!parse at parse.c:42".
func place(f *stream.NamedFrame, modules []stream.ModuleInfo) string {
	var b strings.Builder
	if uint64(f.Module) < uint64(len(modules)) {
		m := &modules[f.Module]
		b.WriteString(path.Base(strings.ReplaceAll(m.Name, `\`, "/")))
		if f.Function == "" {
			fmt.Fprintf(&b, "+%#x", f.PC-m.BaseOfImage)
		} else {
			b.WriteByte('!')
		}
	}
	b.WriteString(f.Function)
	if f.Line != 0 {
		fmt.Fprintf(&b, " at %s:%d", path.Base(f.File), f.Line)
	}
	if f.Flags&stream.FrameInlined != 0 {
		b.WriteString(" (inlined)")
	}
	return b.String()
}

// printable replaces what could control a terminal: names come from files.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
