// Package frames makes the monitor of package crash find the named frames of a crash. Import it for this side effect:
//
//	import _ "minidump/crash/frames"
//
// The monitor then prints the signature of a crash on standard error after the dump's path, and the frames of the crashed thread,
// including C code, unless the runtime's report has them. It adds them to the dump. Names come from the files of the program and its
// libraries on this machine. All this takes at most five seconds, after the dump is complete.
//
// It is a separate package because the code that reads symbols makes a program 2.5 MB larger, and the program and the monitor 1.9 MB
// larger in memory (docs/crash.md).
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

// limit is the maximum duration of the search. Only OnDump waits for it.
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

// place returns where a frame is, such as "app!parse at parse.c:42".
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

// printable replaces characters that could control a terminal, because names come from files.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
