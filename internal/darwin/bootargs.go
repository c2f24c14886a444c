package darwin

import "minidump/stream"

// Offsets in the MozMacosBootargs stream: of the field with the offset of the text, and of the text.
const (
	bootArgsRVA  = 4
	bootArgsText = 12
)

// stringSize returns the size of an ASCII text as a MINIDUMP_STRING: uint32 length in bytes, UTF-16, a NUL.
func stringSize(text []byte) int { return 4 + 2*len(text) + 2 }

// putBootArgs writes the stream to b, of bootArgsText+stringSize(args) bytes. A non-ASCII byte becomes a question mark.
func putBootArgs(b, args []byte) {
	order.PutUint32(b, uint32(stream.MozMacosBootargs))
	order.PutUint64(b[bootArgsRVA:], bootArgsText)
	b = b[bootArgsText:]
	order.PutUint32(b, uint32(2*len(args)))
	b = b[4:]
	for i, c := range args {
		if c >= 0x80 {
			c = '?'
		}
		b[2*i], b[2*i+1] = c, 0
	}
	b[2*len(args)], b[2*len(args)+1] = 0, 0
}
