package backtrace

import (
	"strings"

	"minidump/stream"
)

// maxDying is how many frames of a dying Go program are searched for the call that ends it.
const maxDying = 8

// goSignature returns the signature of a Go program that dies of a panic or a fatal error, which is no exception in the
// dump. It reads the frames of the blamed goroutine in the dump. It returns "" for a program that is not dying.
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

// dying reports whether a goroutine has called a function that ends the program.
func dying(g *stream.Goroutine) bool {
	for i := range g.Frames[:min(len(g.Frames), maxDying)] {
		switch strings.TrimPrefix(g.Frames[i].Function, "internal/") {
		case "runtime.fatalpanic", "runtime.throw", "runtime.fatal", "runtime.fatalthrow", "runtime/maps.fatal", "sync.fatal":
			return true
		}
	}
	return false
}
