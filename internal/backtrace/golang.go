package backtrace

import (
	"strings"

	"minidump/stream"
)

// maxDying is how far up the stack of a Go program that is dying the call is that ends it.
const maxDying = 8

// goSignature returns the signature of a Go program that dies of a panic or a fatal error, from the frames of its goroutine
// that the dump has: the exception then is none. It is empty for a program that lives on.
func goSignature(f *stream.File, blamed uint32) string {
	l, err := f.Goroutines()
	if err != nil {
		return ""
	}
	for i := range l.Goroutines {
		if g := &l.Goroutines[i]; g.ThreadID == blamed && dying(g) {
			frames := make([]stream.NamedFrame, len(g.Frames))
			for k := range frames {
				c := &g.Frames[k]
				frames[k] = stream.NamedFrame{FrameRecord: stream.FrameRecord{PC: c.PC, Module: stream.GoNone}, Function: c.Function}
			}
			return Signature(frames, func(uint32) (string, uint64, bool) { return "", 0, false })
		}
	}
	return ""
}

// dying reports whether a goroutine has called the function that ends the program.
func dying(g *stream.Goroutine) bool {
	for i := range g.Frames[:min(len(g.Frames), maxDying)] {
		switch strings.TrimPrefix(g.Frames[i].Function, "internal/") {
		case "runtime.fatalpanic", "runtime.throw", "runtime.fatal", "runtime.fatalthrow", "runtime/maps.fatal", "sync.fatal":
			return true
		}
	}
	return false
}
