package windows

// MaxUnloaded limits the ring of unloaded modules. Windows has kept 64 since Vista, and kept 16 before.
const MaxUnloaded = 1024

// UnloadedNameSize is the size of the name of an unloaded module in bytes: 32 units, with a terminating 0 if shorter.
const UnloadedNameSize = 64

// Unloaded is RTL_UNLOAD_EVENT_TRACE: a module that was unloaded.
type Unloaded struct {
	Base      uint64
	Size      uint64
	Sequence  uint32 // counts from 0
	TimeStamp uint32
	CheckSum  uint32
	Name      []byte // UTF-16, without the terminating 0; a subslice of the parsed bytes
}

// ParseUnloaded fills u from an element of the ring of a process, which is a 64-bit one if wide is true. It reports whether
// the element is in use.
func ParseUnloaded(b []byte, wide bool, u *Unloaded) bool {
	l := layoutOf(wide)
	*u = Unloaded{}
	if len(b) < l.unloadLen {
		return false
	}
	*u = Unloaded{
		Base: l.pointer(b, l.unloadBase), Size: l.pointer(b, l.unloadSize), Sequence: le.Uint32(b[l.unloadSequence:]),
		TimeStamp: le.Uint32(b[l.unloadTime:]), CheckSum: le.Uint32(b[l.unloadSum:]),
	}
	name := b[l.unloadName:l.unloadLen]
	for i := 0; i < len(name); i += 2 {
		if name[i] == 0 && name[i+1] == 0 {
			name = name[:i]
			break
		}
	}
	u.Name = name
	return u.Base != 0
}
