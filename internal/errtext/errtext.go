// Package errtext makes error texts for the packages that a live dump uses.
//
// They do not import fmt, which imports os: what os sets up at program start, and the tables and the code of both packages,
// are a hundred kilobytes of memory in a process that dumps another one and has no other use for them.
package errtext

import "strconv"

// Hex is a number that is printed in hexadecimal, after 0x.
type Hex uint64

// Join concatenates strings, integers (in decimal), Hex values, errors, and values with a String method. Any other value
// becomes a question mark.
func Join(parts ...any) string {
	var b []byte
	for _, part := range parts {
		switch v := part.(type) {
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case int32:
			b = strconv.AppendInt(b, int64(v), 10)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case uint16:
			b = strconv.AppendUint(b, uint64(v), 10)
		case uint32:
			b = strconv.AppendUint(b, uint64(v), 10)
		case uint64:
			b = strconv.AppendUint(b, v, 10)
		case Hex:
			b = strconv.AppendUint(append(b, "0x"...), uint64(v), 16)
		case error:
			b = append(b, v.Error()...)
		case interface{ String() string }:
			b = append(b, v.String()...)
		default:
			b = append(b, '?')
		}
	}
	return string(b)
}

// Wrap returns an error that wraps err. Its text is the joined parts, then ": " and the text of err.
func Wrap(err error, parts ...any) error { return &wrapped{Join(parts...) + ": " + err.Error(), err} }

// Explain returns an error that wraps err. Its text is that of err, then ": " and the joined parts.
func Explain(err error, parts ...any) error {
	return &wrapped{err.Error() + ": " + Join(parts...), err}
}

// Around returns an error that wraps err and whose text is only the joined parts. err may be one of the parts.
func Around(err error, parts ...any) error { return &wrapped{Join(parts...), err} }

type wrapped struct {
	text string
	err  error
}

func (e *wrapped) Error() string { return e.text }

func (e *wrapped) Unwrap() error { return e.err }
