package symbol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"minidump/elf"
	"minidump/pe"
)

// identity is what identifies a file or module.
type identity struct {
	raw   []byte   // build id, UUID, or GUID and age
	debug []string // in Breakpad's forms
}

func (id *identity) empty() bool { return len(id.raw) == 0 && len(id.debug) == 0 }

// identityOf returns the identity of a module. An id that consists of zeros counts as none.
func identityOf(m *Module) identity {
	var id identity
	if len(m.BuildID) <= 64 && !elf.IsAllZero(m.BuildID) {
		id.raw = m.BuildID
	}
	if d := strings.ToUpper(m.DebugID); isDebugID(d) {
		id.debug = []string{d}
	} else {
		id.debug = forms(id.raw)
	}
	return id
}

// isDebugID reports whether s is a GUID and an age in hexadecimal, and not all zeros.
func isDebugID(s string) bool {
	if len(s) < 9 || len(s) > 40 {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEF") == "" && strings.Trim(s, "0") != ""
}

// is reports whether a file with the identity got belongs to the module with the identity id.
func (id *identity) is(got identity) bool {
	if len(id.raw) > 0 && len(got.raw) > 0 {
		return bytes.Equal(id.raw, got.raw)
	}
	for _, a := range id.debug {
		for _, b := range got.debug {
			if strings.EqualFold(a, b) {
				return true
			}
		}
	}
	return false
}

// elfIdentity returns the identity of an ELF file with the given build id. Breakpad interprets the first 16 bytes as a GUID;
// their byte order depends on the writer of the dump.
func elfIdentity(buildID []byte) identity {
	if len(buildID) == 0 {
		return identity{}
	}
	var g [16]byte
	copy(g[:], buildID)
	return identity{buildID, []string{guidText(g, binary.LittleEndian) + "0", guidText(g, binary.BigEndian) + "0"}}
}

// uuidIdentity returns the identity of a Mach-O file.
func uuidIdentity(uuid [16]byte) identity {
	return identity{uuid[:], []string{guidText(uuid, binary.BigEndian) + "0"}}
}

// peIdentity returns the identity of a PE file. raw is the GUID and the age.
func peIdentity(c *pe.CodeView) identity {
	id := identity{debug: []string{string(c.AppendDebugID(nil))}}
	if c.Signature == pe.RSDS {
		id.raw = binary.LittleEndian.AppendUint32(bytes.Clone(c.GUID[:]), c.Age)
	}
	return id
}

// forms returns the names that Breakpad may use for a module with the given id.
func forms(raw []byte) []string {
	debug := elfIdentity(raw).debug
	if len(raw) == 20 { // a PE image, or a build id: the id made from the wrong interpretation matches no file
		age := strconv.FormatUint(uint64(binary.LittleEndian.Uint32(raw[16:])), 16)
		debug = append(debug, guidText([16]byte(raw), binary.LittleEndian)+strings.ToUpper(age))
	}
	return debug
}

// guidText returns the 32 digits of a GUID whose first three fields are numbers in the given byte order.
func guidText(g [16]byte, o binary.ByteOrder) string {
	b := binary.BigEndian.AppendUint32(nil, o.Uint32(g[:]))
	b = binary.BigEndian.AppendUint16(b, o.Uint16(g[4:]))
	b = binary.BigEndian.AppendUint16(b, o.Uint16(g[6:]))
	return strings.ToUpper(hex.EncodeToString(append(b, g[8:]...)))
}
