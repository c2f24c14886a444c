package windows

// MaxModules limits the list of modules: a corrupt list can be a ring that does not return to its head.
const MaxModules = 16384

// Module is one entry of the loader's list.
type Module struct {
	Base      uint64
	Size      uint32 // bytes, as SizeOfImage
	TimeStamp uint32 // TimeDateStamp of its header
	NameAddr  uint64 // address of the text of FullDllName in the target, in UTF-16
	NameSize  int    // bytes
}

// Loader walks the list of modules of a process in load order: the program first. It must be allocated on the heap or in
// memory that does not move, because system calls write to its buffer.
type Loader struct {
	mem    Memory
	layout *layout
	head   uint64
	next   uint64
	left   int
	buf    [0x88]byte
}

// Open reads the start of the list from the PEB at address peb. wide is true for a 64-bit PEB. Open reports whether there
// is a list: a process that is just starting has none.
func (w *Loader) Open(mem Memory, peb uint64, wide bool) bool {
	w.mem, w.layout, w.left, w.next = mem, layoutOf(wide), MaxModules, 0
	l := w.layout
	if peb == 0 {
		return false
	}
	ldr, ok := w.pointer(peb + uint64(l.pebLdr))
	if !ok || ldr == 0 {
		return false
	}
	w.head = ldr + uint64(l.ldrList)
	w.next, ok = w.pointer(w.head)
	return ok && w.next != 0
}

func (w *Loader) pointer(addr uint64) (uint64, bool) {
	b := w.buf[:w.layout.word]
	if w.mem.Read(addr, b) != len(b) {
		return 0, false
	}
	return w.layout.pointer(b, 0), true
}

// Next reads the next module into m. It returns false at the end of the list; broken reports that the list could not be
// followed to its end.
func (w *Loader) Next(m *Module) (ok, broken bool) {
	l := w.layout
	for w.next != 0 && w.next != w.head {
		if w.left--; w.left < 0 {
			return false, true
		}
		b := w.buf[:l.entryLen]
		if w.mem.Read(w.next, b) != len(b) {
			return false, true
		}
		w.next = l.pointer(b, 0) // InLoadOrderLinks.Flink
		*m = Module{Base: l.pointer(b, l.entryBase), Size: le.Uint32(b[l.entrySize:]), TimeStamp: le.Uint32(b[l.entryTime:])}
		m.NameAddr, m.NameSize = l.unicodeString(b, l.entryName)
		if m.Base != 0 && m.Size != 0 { // a module that is being unloaded has neither
			return true, false
		}
	}
	return false, w.next == 0
}
