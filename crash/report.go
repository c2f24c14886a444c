//go:build linux || windows || (darwin && !ios)

package crash

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// maxReport is the length of the annotation KeyReport in bytes.
const maxReport = 512

// maxText is the maximum length of a report in a dump, in bytes.
const maxText = 64 << 10

// kinds are the first bytes of reports, by which the kinds of report differ.
var kinds = []struct{ text, kind string }{{"panic: ", "panic"}, {"SIG", "signal"}, {"Exception ", "exception"}}

// kindOf returns what kind of report begins with text.
func kindOf(text string) string {
	for _, k := range kinds {
		if strings.HasPrefix(text, k.text) {
			return k.kind
		}
	}
	return "fatal error"
}

// A signalLine is the runtime's line "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47d2c9]". On Windows the name
// is the exception's code, 0xc0000005, and code and addr are the first two of its parameters.
type signalLine struct {
	name           string
	code, addr, pc uint64
}

// findSignal finds the line in a report, before its first goroutine.
func findSignal(text string) (l signalLine, ok bool) {
	head, _, _ := strings.Cut(text, "\ngoroutine ")
	_, line, ok := strings.Cut(head, "[signal ")
	if !ok {
		return l, false
	}
	line, _, _ = strings.Cut(line, "]")
	number := func(key string) (n uint64) {
		_, v, found := strings.Cut(line, " "+key+"=0x")
		v, _, _ = strings.Cut(v, " ")
		n, err := strconv.ParseUint(v, 16, 64)
		ok = ok && found && err == nil
		return n
	}
	l = signalLine{code: number("code"), addr: number("addr"), pc: number("pc")}
	l.name, _, _ = strings.Cut(line, " ")
	l.name = strings.TrimSuffix(l.name, ":")
	return l, ok
}

// A cause is the contents of the exception stream for a signal.
type cause struct {
	code, flags uint32
	address     uint64
	params      []uint64
}

func isBigEndian() bool { return nativeOrder() == binary.ByteOrder(binary.BigEndian) }

func nativeOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}
