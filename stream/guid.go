package stream

import "encoding/binary"

// GUIDSize is the size of a GUID in bytes.
const GUIDSize = 16

// GUID is the GUID of guiddef.h. Its first three fields are numbers, so their bytes depend on the byte order.
//
//	0 uint32  Data1
//	4 uint16  Data2
//	6 uint16  Data3
//	8 byte[8] Data4
type GUID struct {
	Data1 uint32
	Data2 uint16
	Data3 uint16
	Data4 [8]byte
}

// Put writes the GUIDSize bytes of r to b.
func (r *GUID) Put(b []byte, o binary.ByteOrder) {
	_ = b[GUIDSize-1]
	o.PutUint32(b[0:], r.Data1)
	o.PutUint16(b[4:], r.Data2)
	o.PutUint16(b[6:], r.Data3)
	copy(b[8:GUIDSize], r.Data4[:])
}

// Get reads r from the first GUIDSize bytes of b.
func (r *GUID) Get(b []byte, o binary.ByteOrder) {
	_ = b[GUIDSize-1]
	r.Data1 = o.Uint32(b[0:])
	r.Data2 = o.Uint16(b[4:])
	r.Data3 = o.Uint16(b[6:])
	copy(r.Data4[:], b[8:GUIDSize])
}

// String returns the form "00112233-4455-6677-8899-aabbccddeeff".
func (r GUID) String() string {
	var b [GUIDSize]byte
	r.Put(b[:], binary.BigEndian)
	s := hexText(b[:], lower)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// hex returns the form that Breakpad uses: capitals, no hyphens.
func (r *GUID) hex() string {
	var b [GUIDSize]byte
	r.Put(b[:], binary.BigEndian)
	return hexText(b[:], capitals)
}

// The digits for hexText.
const (
	lower    = "0123456789abcdef"
	capitals = "0123456789ABCDEF"
)

// hexText returns each byte of b as two of digits. It exists because encoding/hex imports fmt.
func hexText(b []byte, digits string) string {
	text := make([]byte, 0, 2*len(b))
	for _, c := range b {
		text = append(text, digits[c>>4], digits[c&15])
	}
	return string(text)
}

// hexText32 returns v as eight of digits.
func hexText32(v uint32, digits string) string {
	return hexText(binary.BigEndian.AppendUint32(nil, v), digits)
}
