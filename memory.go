package minidump

// targetMemory reads the memory of the process that a snapshot is made of: of a live process or out of a core file.
// Nothing it returns is to be trusted.
type targetMemory interface {
	// read copies memory at addr into p. It returns how many bytes it could read before the first that it could not.
	read(addr uint64, p []byte) int
	// readv serves many requests at once.
	readv(reqs []readRequest)
}

// readRequest asks for len(dst) bytes at addr; got is how many of them came.
type readRequest struct {
	addr uint64
	dst  []byte // in an arena
	got  int
}

// requests is a batch of reads in the making. It belongs to a Writer.
type requests struct {
	table[readRequest]
	short bool // space ran out, and that is told
}

func (r *requests) clear() {
	r.table.clear()
	r.short = false
}

// want adds a request for n bytes at addr, into new space of the byte arena. The span is empty when space ran out.
func (r *requests) want(s *snapshot, addr uint64, n int) span {
	if n <= 0 {
		return span{}
	}
	sp, b := s.bytes.alloc(n)
	var q *readRequest
	if b != nil {
		q = r.add()
	}
	if q == nil {
		if !r.short {
			r.short = true
			s.soft(opTruncated, 0, 0, addr)
		}
		return span{}
	}
	*q = readRequest{addr: addr, dst: b}
	return sp
}
