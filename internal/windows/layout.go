package windows

import "encoding/binary"

// Memory reads the memory of a process.
type Memory interface {
	// Read copies memory at addr into p. It returns the number of bytes read before the first unreadable one.
	Read(addr uint64, p []byte) int
}

// le is the byte order of Windows on every machine.
var le = binary.LittleEndian

// layout holds the offsets of fields that differ between 32-bit and 64-bit processes, in bytes. They are from winternl.h if
// it declares the field, otherwise from phnt's ntpebteb.h and ntldr.h. None has changed since Windows XP.
type layout struct {
	word int // size of a pointer

	pebLdr       int // PEB.Ldr
	pebImageBase int // PEB.ImageBaseAddress
	pebParams    int // PEB.ProcessParameters

	ldrList int // PEB_LDR_DATA.InLoadOrderModuleList

	entryBase, entrySize, entryName, entryTime int // LDR_DATA_TABLE_ENTRY: DllBase, SizeOfImage, FullDllName, TimeDateStamp
	entryLen                                   int // bytes of the entry that are read

	tibStackBase, tibStackLimit, tibSelf int // NT_TIB
	tebLen                               int // bytes of the TEB that are read
	tebLastError                         int // TEB.LastErrorValue
	tebSlots                             int // TEB.TlsSlots, 64 pointers

	commandLine int // RTL_USER_PROCESS_PARAMETERS.CommandLine

	unloadBase, unloadSize, unloadSequence, unloadTime, unloadSum, unloadName int // RTL_UNLOAD_EVENT_TRACE
	unloadLen                                                                 int
}

var layout64 = layout{
	word:   8,
	pebLdr: 0x18, pebImageBase: 0x10, pebParams: 0x20,
	ldrList:   0x10,
	entryBase: 0x30, entrySize: 0x40, entryName: 0x48, entryTime: 0x80, entryLen: 0x88,
	tibStackBase: 8, tibStackLimit: 16, tibSelf: 0x30, tebLen: 0x70, tebLastError: 0x68, tebSlots: 0x1480,
	commandLine: 0x70,
	unloadBase:  0, unloadSize: 8, unloadSequence: 16, unloadTime: 20, unloadSum: 24, unloadName: 28, unloadLen: 92,
}

var layout32 = layout{
	word:   4,
	pebLdr: 0xc, pebImageBase: 8, pebParams: 0x10,
	ldrList:   0xc,
	entryBase: 0x18, entrySize: 0x20, entryName: 0x24, entryTime: 0x44, entryLen: 0x48,
	tibStackBase: 4, tibStackLimit: 8, tibSelf: 0x18, tebLen: 0x38, tebLastError: 0x34, tebSlots: 0xe10,
	commandLine: 0x40,
	unloadBase:  0, unloadSize: 4, unloadSequence: 8, unloadTime: 12, unloadSum: 16, unloadName: 20, unloadLen: 84,
}

func layoutOf(wide bool) *layout {
	if wide {
		return &layout64
	}
	return &layout32
}

// pointer reads a pointer at b[off:].
func (l *layout) pointer(b []byte, off int) uint64 {
	if l.word == 4 {
		return uint64(le.Uint32(b[off:]))
	}
	return le.Uint64(b[off:])
}

// maxString is the maximum size of a UNICODE_STRING in bytes: its length is a 16-bit number.
const maxString = 65534

// unicodeString reads a UNICODE_STRING at b[off:]. It returns the address of the text and its size in bytes.
func (l *layout) unicodeString(b []byte, off int) (addr uint64, size int) {
	size = int(le.Uint16(b[off:])) &^ 1
	addr = l.pointer(b, off+l.word)
	if addr == 0 {
		size = 0
	}
	return addr, size
}

// filetimeToUnix converts a FILETIME, in units of 100 ns since 1601, to seconds since 1970. It returns 0 for times before
// 1970 and for those that exceed 32 bits.
func filetimeToUnix(t uint64) uint32 {
	const epoch = 11644473600 // seconds from 1601 to 1970
	s := t / 1e7
	if s < epoch || s-epoch > 0xffffffff {
		return 0
	}
	return uint32(s - epoch)
}
