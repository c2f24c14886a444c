package encode

import (
	"strconv"

	"minidump/internal/snapshot"
)

// appendJSON renders the soft errors in the form of the Rust crate minidump-writer: an array of externally tagged values,
// with those of the first phase inside one "InitErrors". It does not grow dst; records that do not fit are left out.
func appendJSON(s *snapshot.Snapshot, dst []byte) []byte {
	first := len(dst)
	out := text(dst)
	out.add("[")
	for _, initial := range [2]bool{true, false} {
		open := false
		for _, e := range s.Errors.All() {
			if e.Op.Initial() != initial {
				continue
			}
			// The longest record: its fixed text, the escaped subject, and the end of the document.
			if cap(out)-len(out) < 320+6*int(e.Text.Len) {
				break
			}
			if out[len(out)-1] != '[' {
				out.add(",")
			}
			if initial && !open {
				out.add("\n  {\n    \"InitErrors\": [")
				open = true
			}
			out.add("\n")
			if initial {
				out.add("    ")
			}
			addRecord(s, &out, &e)
		}
		if open {
			out.add("\n    ]\n  }")
		}
	}
	if len(out) > first+1 {
		out.add("\n")
	}
	out.add("]")
	return out
}

func addRecord(s *snapshot.Snapshot, out *text, e *snapshot.SoftError) {
	switch e.Op { // the following have the form of minidump-writer
	case snapshot.OpPrincipal:
		out.add("  \"PrincipalMappingNotReferenced\"")
		return
	case snapshot.OpStop:
		if e.TID == 0 {
			out.add("  {\"StopProcessFailed\": \"Timeout\"}")
			return
		}
	}
	out.add("  {\"")
	out.add(e.Op.Name())
	out.add("\": {\"what\": \"")
	out.add(e.Op.What())
	out.add("\"")
	if e.Text.Len > 0 {
		out.add(", \"subject\": \"")
		*out = appendEscaped(*out, s.Bytes.Get(e.Text))
		out.add("\"")
	}
	if e.TID != 0 {
		out.add(", \"thread\": ")
		*out = strconv.AppendInt(*out, int64(e.TID), 10)
	}
	if e.Addr != 0 {
		out.add(", \"address\": \"0x")
		*out = strconv.AppendUint(*out, e.Addr, 16)
		out.add("\"")
	}
	if e.Errno != 0 {
		out.add(", \"errno\": ")
		*out = strconv.AppendInt(*out, int64(e.Errno), 10)
		out.add(", \"error\": \"")
		if s.Numbers != nil {
			out.add(s.Numbers.Text(e.Errno))
		} else {
			out.add(errnoText(e.Errno))
		}
		out.add("\"")
	}
	out.add("}}")
}

// text is a buffer that text is appended to.
type text []byte

func (t *text) add(piece string) { *t = append(*t, piece...) }

// appendEscaped appends p as the contents of a JSON string. Bytes that are not printable ASCII become \u00NN, so that
// the result is valid whatever the encoding of a file name is.
func appendEscaped(dst, p []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range p {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
