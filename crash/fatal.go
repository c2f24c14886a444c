//go:build linux || windows || (darwin && !ios)

package crash

import (
	"io"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// maxScan is the maximum memory that is searched for the text of a fatal error, in bytes.
const maxScan = 256 << 20

// The text of a fatal error, such as "concurrent map writes", is not in the runtime's report. The first frames of the report have its
// address, in "runtime.throw({0x4dcd48?, 0x4b?})". The length there may have been overwritten by another value. So the length is
// taken from memory, where it follows a copy of the address: the runtime's closure that prints the text has both. The program must
// still be blocked in its report; it still is when the address has been read, because many writes follow.

// enoughForFatal reports whether a report has the address of the text, or is so long that it can't have one.
func enoughForFatal(text string) bool {
	call := parseFatal(text)
	return call.address != 0 && call.whole || len(text) > 4096
}

// memory is the memory of the program.
type memory interface {
	io.ReaderAt                                        // by addresses
	each(buf []byte, f func(piece []byte) (goOn bool)) // calls f with the program's own memory
}

// text returns the text, or "" if it can't be determined.
func (c *fatalCall) text(mem memory) string {
	if c.address == 0 || c.address > math.MaxInt64 {
		return ""
	}
	lengths := lengths{}
	if c.low < c.high && c.high-c.low < maxFrame {
		b := make([]byte, c.high-c.low)
		n, _ := mem.ReadAt(b, int64(c.low))
		lengths.search(b[:n], c.address)
	}
	if len(lengths) == 0 {
		left := maxScan
		mem.each(make([]byte, 1<<20), func(piece []byte) bool {
			lengths.search(piece[:min(len(piece), left)], c.address)
			left -= len(piece)
			return left > 0
		})
		lengths[c.shown]-- // do not count the place from which the report took it
	}
	b := make([]byte, lengths.likely())
	if n, _ := mem.ReadAt(b, int64(c.address)); n != len(b) {
		return ""
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}

// maxFrame is larger than the frame of runtime.throw, in bytes.
const maxFrame = 4096

// fatalCall is the first call of throw or fatal in a report.
type fatalCall struct {
	address   uint64 // of the text; 0 if there is no call
	shown     int    // its length according to the report
	low, high uint64 // bounds of the call's stack frame; 0 except for errors of the runtime itself, where the report has them
	whole     bool   // the report has the whole line with the frame's position
}

// parseFatal finds the call. A frame is two lines, "FUNCTION(ARGUMENTS)" and "\tFILE:LINE +0x48 fp=0x… sp=0x… pc=0x…", see
// traceback2 in runtime/traceback.go.
func parseFatal(text string) (c fatalCall) {
	for _, call := range []string{"runtime.throw({", "runtime.fatal({", "maps.fatal({", "sync.fatal({"} {
		_, rest, ok := strings.Cut(text, call)
		if !ok {
			continue
		}
		args, rest, whole := strings.Cut(rest, "\n")
		place, _, ended := strings.Cut(rest, "\n")
		first, second, ok := strings.Cut(args, ", ")
		at, err := strconv.ParseUint(strings.TrimSuffix(first, "?"), 0, 64)
		if !ok || err != nil {
			continue
		}
		c.address, c.whole = at, whole && ended
		second, _, _ = strings.Cut(second, "}")
		shown, err := strconv.ParseUint(strings.TrimSuffix(second, "?"), 0, 31)
		if err == nil {
			c.shown = int(shown)
		}
		c.low, c.high = field(place, " sp="), field(place, " fp=")
		return c
	}
	return c
}

// field returns the number after a name, or 0 if there is none.
func field(line, name string) uint64 {
	_, rest, _ := strings.Cut(line, name)
	number, _, _ := strings.Cut(rest, " ")
	value, err := strconv.ParseUint(number, 0, 64)
	if err != nil {
		return 0
	}
	return value
}

// lengths are the numbers that follow an address in memory, as the length does in a string header, and how often each
// is found.
type lengths map[int]int

// search counts the lengths after an address in a piece of memory.
func (l lengths) search(b []byte, address uint64) {
	const word = int(unsafe.Sizeof(uintptr(0)))
	value := func(b []byte) uint64 {
		if word == 4 {
			return uint64(nativeOrder().Uint32(b))
		}
		return nativeOrder().Uint64(b)
	}
	for ; len(b) >= 2*word; b = b[word:] {
		if value(b) == address {
			if size := value(b[word:]); size > 0 && size <= maxReport {
				l[int(size)]++
			}
		}
	}
}

// likely returns the length that was found most often, or the longest of several such; 0 if none was found. Numbers that follow a
// copy of the address by accident are rarely equal.
func (l lengths) likely() (length int) {
	for size, n := range l {
		if n > 0 && (n > l[length] || n == l[length] && size > length) {
			length = size
		}
	}
	return length
}
