package snapshot

import "minidump/pe"

// PEImage is a PE image in the memory of a process, such as Wine maps. It belongs to a snapshot: as one that is made for
// each image it would take memory of the Go heap.
type PEImage struct {
	Reader pe.Reader
	mem    Memory
	base   uint64
}

// Open opens the image at base, as it lies in memory. scratch has at least pe.MinScratch bytes.
func (p *PEImage) Open(mem Memory, base uint64, scratch []byte) bool {
	p.mem, p.base = mem, base
	p.Reader.Init(scratch)
	return p.Reader.Open(p, pe.Loaded)
}

// Close lets go of the memory.
func (p *PEImage) Close() {
	p.Reader.Close()
	p.mem = nil
}

// ReadAt implements pe.Source.
func (p *PEImage) ReadAt(b []byte, off uint64) int { return p.mem.Read(p.base+off, b) }
