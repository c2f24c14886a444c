//go:build !ios

package crash

import (
	"io"

	"minidump"
	"minidump/mach"
)

// fatalText returns the text of a fatal error that the program reports, or "" if it can't be determined.
func (m *watch) fatalText(w *minidump.Writer) string {
	m.drain(enoughForFatal)
	call := parseFatal(string(m.text))
	return call.text(fatalMemory{taskMemory{w}, m.task})
}

// fatalMemory is the memory of the program.
type fatalMemory struct {
	taskMemory
	task mach.Port
}

// ReadAt implements io.ReaderAt. A piece with a hole is read up to the hole.
func (m fatalMemory) ReadAt(p []byte, off int64) (n int, err error) {
	if n = m.Read(uint64(off), p); n < len(p) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// each calls f with the memory that the program can write to and has used, until f returns false.
func (m fatalMemory) each(buf []byte, f func(piece []byte) bool) {
	const depth = 1024 // of maps within maps
	var info mach.VMRegionSubmapInfo64
	for at := uint64(0); ; {
		start, size, _, kr := mach.VMRegionRecurse(m.task, at, depth, &info)
		if kr != mach.KERN_SUCCESS || size == 0 || start+size <= at {
			return
		}
		at = start + size
		const own = mach.VM_PROT_READ | mach.VM_PROT_WRITE
		if info.Protection&own != own || info.ShareMode == mach.SM_EMPTY {
			continue
		}
		for lo := start; lo < at; {
			b := buf[:min(at-lo, uint64(len(buf)))]
			lo += uint64(len(b))
			if !f(b[:m.Read(lo-uint64(len(b)), b)]) {
				return
			}
		}
	}
}
