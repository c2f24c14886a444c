package stream

import "encoding/binary"

// Bits of BreakpadInfo.Validity.
const (
	MD_BREAKPAD_INFO_VALID_DUMP_THREAD_ID       = 1
	MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID = 2
)

// BreakpadInfoSize is the size of a BreakpadInfo in bytes.
const BreakpadInfoSize = 12

// BreakpadInfo is MDRawBreakpadInfo.
//
//	0 uint32 validity
//	4 uint32 dump_thread_id
//	8 uint32 requesting_thread_id
type BreakpadInfo struct {
	Validity           uint32 // MD_BREAKPAD_INFO_VALID_…: which fields are filled in
	DumpThreadID       uint32 // the thread of the process that writes dumps, which readers hide
	RequestingThreadID uint32 // the thread that requested the dump, or crashed
}

// Put writes the BreakpadInfoSize bytes of r to b.
func (r *BreakpadInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[BreakpadInfoSize-1]
	o.PutUint32(b[0:], r.Validity)
	o.PutUint32(b[4:], r.DumpThreadID)
	o.PutUint32(b[8:], r.RequestingThreadID)
}

// Get reads r from the first BreakpadInfoSize bytes of b.
func (r *BreakpadInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[BreakpadInfoSize-1]
	r.Validity = o.Uint32(b[0:])
	r.DumpThreadID = o.Uint32(b[4:])
	r.RequestingThreadID = o.Uint32(b[8:])
}

// AssertionTextUnits is the number of UTF-16 words of each text of an AssertionInfo.
const AssertionTextUnits = 128

// Values of AssertionInfo.Type.
const (
	MD_ASSERTION_INFO_TYPE_UNKNOWN           = 0
	MD_ASSERTION_INFO_TYPE_INVALID_PARAMETER = 1
	MD_ASSERTION_INFO_TYPE_PURE_VIRTUAL_CALL = 2
)

// AssertionInfoSize is the size of an AssertionInfo in bytes.
const AssertionInfoSize = 776

// AssertionInfo is MDRawAssertionInfo: the report of a failed check in the C or C++ runtime library. The texts end with a NUL
// unless they fill the array.
//
//	  0 uint16[128] expression
//	256 uint16[128] function
//	512 uint16[128] file
//	768 uint32      line
//	772 uint32      type
type AssertionInfo struct {
	Expression [AssertionTextUnits]uint16 // UTF-16
	Function   [AssertionTextUnits]uint16
	File       [AssertionTextUnits]uint16
	Line       uint32
	Type       uint32 // MD_ASSERTION_INFO_TYPE_…
}

// texts returns the three texts in the record's order.
func (r *AssertionInfo) texts() [3]*[AssertionTextUnits]uint16 {
	return [...]*[AssertionTextUnits]uint16{&r.Expression, &r.Function, &r.File}
}

// Put writes the AssertionInfoSize bytes of r to b.
func (r *AssertionInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[AssertionInfoSize-1]
	for i, text := range r.texts() {
		for k, unit := range text {
			o.PutUint16(b[2*AssertionTextUnits*i+2*k:], unit)
		}
	}
	o.PutUint32(b[768:], r.Line)
	o.PutUint32(b[772:], r.Type)
}

// Get reads r from the first AssertionInfoSize bytes of b.
func (r *AssertionInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[AssertionInfoSize-1]
	for i, text := range r.texts() {
		for k := range text {
			text[k] = o.Uint16(b[2*AssertionTextUnits*i+2*k:])
		}
	}
	r.Line = o.Uint32(b[768:])
	r.Type = o.Uint32(b[772:])
}

// Assertion is an AssertionInfo with its texts as strings.
type Assertion struct {
	Expression string
	Function   string
	File       string
	Line       uint32
	Type       uint32 // MD_ASSERTION_INFO_TYPE_…
}

// Assertion returns the AssertionInfoStream.
func (f *File) Assertion() (Assertion, error) {
	b, err := f.fixed(AssertionInfoStream, AssertionInfoSize)
	if err != nil {
		return Assertion{}, err
	}
	const size = 2 * AssertionTextUnits
	text := func(i int) string { return utf16Text(beforeNUL(b[i*size:(i+1)*size]), f.Order) }
	return Assertion{text(0), text(1), text(2), f.Order.Uint32(b[3*size:]), f.Order.Uint32(b[3*size+4:])}, nil
}
