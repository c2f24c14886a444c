package stackwalk

import (
	"encoding/binary"
	"sort"

	"minidump/context/insn"
)

// maxReads is how often one Walk may read memory: a million reads take a few seconds, and the deepest real stacks need a tenth of that.
const maxReads = 1 << 20

// order returns the byte order of the process.
func (p *Process) order() binary.ByteOrder {
	if p.Order == nil {
		return binary.LittleEndian
	}
	return p.Order
}

// read fills b with memory from addr on and returns the number of bytes read: from the dump, and what the dump lacks
// from the files of the modules.
func (p *Process) read(addr uint64, b []byte) int {
	done := 0
	for done < len(b) && addr+uint64(done) >= addr {
		if p.reads <= 0 {
			return done
		}
		p.reads--
		at, n := addr+uint64(done), 0
		if p.Memory != nil {
			n, _ = p.Memory.ReadMemory(at, b[done:])
			n = max(0, min(n, len(b)-done))
		}
		if n < len(b)-done {
			n += p.readFile(at+uint64(n), b[done+n:])
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done
}

// readFile is read from the files of the modules alone.
func (p *Process) readFile(addr uint64, b []byte) int {
	m := p.moduleAt(addr)
	if m < 0 {
		return 0
	}
	return p.image(m).readAt(addr, b)
}

// word reads an address from the stack.
func (p *Process) word(addr uint64) (uint64, bool) {
	return p.uint(addr, p.facts.word)
}

// uint reads an unsigned number of size bytes: 1, 2, 4 or 8.
func (p *Process) uint(addr uint64, size int) (uint64, bool) {
	var b [8]byte
	if p.read(addr, b[:size]) < size {
		return 0, false
	}
	return number(b[:size], p.order()), true
}

// number decodes an unsigned number of 1, 2, 4 or 8 bytes.
func number(b []byte, o binary.ByteOrder) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(o.Uint16(b))
	case 4:
		return uint64(o.Uint32(b))
	}
	return o.Uint64(b)
}

// isCode reports whether addr is in executable memory, as far as that is known.
func (p *Process) isCode(addr uint64) bool {
	m := p.moduleAt(addr)
	if m >= 0 {
		if im := p.image(m); len(im.loads) > 0 {
			return im.isCode(addr)
		}
	}
	if p.Executable != nil {
		i := sort.Search(len(p.Executable), func(i int) bool { return p.Executable[i].End > addr })
		return i < len(p.Executable) && p.Executable[i].contains(addr)
	}
	return m >= 0
}

// codeBefore returns up to 16 bytes of code before addr; ok is false if none are available.
func (p *Process) codeBefore(addr uint64) (code []byte, ok bool) {
	const most = 16
	b := make([]byte, most)
	if addr >= most && p.read(addr-most, b) == most {
		return b, true
	}
	// addr may be near the start of a range.
	if addr >= 4 && p.read(addr-4, b[:4]) == 4 {
		return b[:4], true
	}
	return nil, false
}

// isReturn reports whether pc can be a return address: it is in executable memory and, if the code is available, follows a
// call or is what a signal handler returns to.
func (p *Process) isReturn(pc uint64) bool {
	pc = p.codeAddress(pc)
	if pc%p.facts.align != 0 || !p.isCode(pc) || !p.isCode(pc-1) {
		return false
	}
	code, ok := p.codeBefore(pc)
	if !ok || insn.IsCall(p.Arch, p.order(), code) {
		return true
	}
	_, at := p.atTrampoline(pc)
	return at
}
