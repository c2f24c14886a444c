package crash

import (
	"io"

	target "minidump/internal/windows"
)

// fatalText returns the text of a fatal error; see fatal.go.
func (m *watch) fatalText() string {
	m.read(func() bool { return enoughForFatal(string(m.text)) })
	p := new(target.Process)
	if p.Open(m.link.pid) != nil {
		return ""
	}
	defer p.Close()
	call := parseFatal(string(m.text))
	return call.text(processMemory{p})
}

// processMemory is the memory of a process.
type processMemory struct{ *target.Process }

// ReadAt implements io.ReaderAt.
func (p processMemory) ReadAt(b []byte, addr int64) (n int, err error) {
	if n = p.Read(uint64(addr), b); n < len(b) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (p processMemory) each(buf []byte, f func(piece []byte) bool) {
	r := new(target.Region)
	for at := uint64(0); p.Region(at, r) == 0 && r.End() > at; at = r.End() {
		if r.State != target.MEM_COMMIT || r.Type != target.MEM_PRIVATE || !r.Readable() || !r.Writable() {
			continue
		}
		for lo := r.Base; lo < r.End(); {
			b := buf[:min(r.End()-lo, uint64(len(buf)))]
			n := p.Read(lo, b)
			if lo += uint64(len(b)); !f(b[:n]) {
				return
			}
		}
	}
}
