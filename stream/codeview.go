package stream

import (
	"encoding/binary"
	"strconv"
)

// First words of CodeView records, which identify the debug information of a module.
const (
	CVELF   = 0x4270454c // MD_CVINFOELF_SIGNATURE: the raw GNU build id follows, of any length
	CVPDB70 = 0x53445352 // MD_CVINFOPDB70_SIGNATURE, "RSDS": GUID, uint32 age, file name, NUL
	CVPDB20 = 0x3031424e // MD_CVINFOPDB20_SIGNATURE, "NB10": uint32 offset, timestamp, age, file name, NUL
)

// CVELF puts a CodeView record with a build id.
func (e *Encoder) CVELF(buildID []byte) {
	e.U32(CVELF)
	e.Bytes(buildID)
}

// CVELFSize is the number of bytes that Encoder.CVELF puts.
func CVELFSize(buildID []byte) uint64 { return 4 + uint64(len(buildID)) }

// CVPDB70 puts a CodeView record of a PDB file, or of a Mach-O image, whose LC_UUID then is the GUID with age 0.
func (e *Encoder) CVPDB70(id *GUID, age uint32, name []byte) {
	e.U32(CVPDB70)
	id.Put(e.Raw(GUIDSize), e.order)
	e.U32(age)
	e.Bytes(name)
	e.Raw(1)[0] = 0
}

// CVPDB70Size is the number of bytes that Encoder.CVPDB70 puts.
func CVPDB70Size(name []byte) uint64 { return 4 + GUIDSize + 4 + uint64(len(name)) + 1 }

// BuildID returns the GNU build id in a CodeView record, or nil if the record is of another kind. An empty or all-zero id counts
// as none: Breakpad writes zeros for a module that it could not identify.
func BuildID(codeView []byte, o binary.ByteOrder) []byte {
	if len(codeView) < 4 || o.Uint32(codeView) != CVELF || allZero(codeView[4:]) {
		return nil
	}
	return codeView[4:]
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// DebugID returns the identifier under which Breakpad's tools look for the symbols of a module, for example
// "33221100554477668899AABBCCDDEEFF0": a GUID and the age, in hexadecimal. The first 16 bytes of a build id serve as the GUID,
// padded with 0, with age 0. DebugID returns "" if the record has an unknown signature, is cut short, or contains only zeros.
func DebugID(codeView []byte, o binary.ByteOrder) string {
	if len(codeView) < 4 {
		return ""
	}
	var id GUID
	switch o.Uint32(codeView) {
	case CVELF:
		if allZero(codeView[4:]) {
			return ""
		}
		var b [GUIDSize]byte
		copy(b[:], codeView[4:])
		id.Get(b[:], o)
		return id.hex() + "0"
	case CVPDB70:
		if len(codeView) < 24 || allZero(codeView[4:24]) {
			return ""
		}
		id.Get(codeView[4:], o)
		return id.hex() + strconv.FormatUint(uint64(o.Uint32(codeView[20:])), 16)
	case CVPDB20:
		if len(codeView) < 16 {
			return ""
		}
		return hexText32(o.Uint32(codeView[8:]), capitals) + strconv.FormatUint(uint64(o.Uint32(codeView[12:])), 16)
	}
	return ""
}

// CodeID returns the identifier of a module's code as Breakpad's tools print it: on ELF systems the whole build id in
// hexadecimal, on Apple's the UUID, on Windows timestamp and size of the image. It returns "" if that is not known.
func CodeID(m *Module, codeView []byte, platform uint32, o binary.ByteOrder) string {
	if id := BuildID(codeView, o); id != nil {
		return hexText(id, lower)
	}
	switch platform {
	case MD_OS_MAC_OS_X, MD_OS_IOS:
		if len(codeView) >= 24 && o.Uint32(codeView) == CVPDB70 && !allZero(codeView[4:20]) {
			var id GUID
			id.Get(codeView[4:], o)
			return id.hex()
		}
	case MD_OS_WIN32_NT:
		return hexText32(m.TimeDateStamp, capitals) + strconv.FormatUint(uint64(m.SizeOfImage), 16)
	}
	return ""
}
