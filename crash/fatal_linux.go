package crash

import (
	"math"
	"os"
	"strconv"
	"strings"
	"unsafe"
)

// maxScan bounds how much memory is searched for the text of a fatal error, in bytes.
const maxScan = 256 << 20

// fatalText returns the text of a fatal error, such as "concurrent map writes", which the runtime does not put into a report. The first
// frames of the report have its address, in "runtime.throw({0x4dcd48?, 0x4b?})". What stands there as its length may be
// what else was in its place by then. So the length is the one that stands after that address in memory, where the
// runtime's closure that prints the text has both. The program must be held in its report; it still is, many writes
// before the end, when the address has been seen.
func fatalText(pid int, r *report) string {
	r.drain(func(text string) bool {
		call := parseFatal(text)
		return call.address != 0 && call.whole || len(text) > 4096
	})
	call := parseFatal(string(r.text))
	if call.address == 0 || call.address > math.MaxInt64 {
		return ""
	}
	mem, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	if err != nil {
		return ""
	}
	defer mem.Close()
	lengths := lengths{}
	if call.low < call.high && call.high-call.low < maxFrame {
		b := make([]byte, call.high-call.low)
		n, _ := mem.ReadAt(b, int64(call.low))
		lengths.search(b[:n], call.address)
	}
	if len(lengths) == 0 {
		lengths.searchAll(pid, mem, call.address)
		lengths[call.shown]-- // it stands in the place that the report took it from
	}
	b := make([]byte, lengths.likely())
	if n, _ := mem.ReadAt(b, int64(call.address)); n != len(b) {
		return ""
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}

// maxFrame is more than the frame of runtime.throw takes, in bytes.
const maxFrame = 4096

// fatalCall is the first call of throw or fatal in a report.
type fatalCall struct {
	address   uint64 // of the text; 0 if there is no call
	shown     int    // its length, as the report has it
	low, high uint64 // bounds of the call's stack frame; 0 except for errors of the runtime itself, where the report has them
	whole     bool   // the report has the whole line that says where the frame is
}

// parseFatal finds the call. A frame takes two lines, "FUNCTION(ARGUMENTS)" and "\tFILE:LINE +0x48 fp=0x… sp=0x… pc=0x…", see
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

// field returns the number after a name; 0 if there is none.
func field(line, name string) uint64 {
	_, rest, _ := strings.Cut(line, name)
	number, _, _ := strings.Cut(rest, " ")
	value, err := strconv.ParseUint(number, 0, 64)
	if err != nil {
		return 0
	}
	return value
}

// lengths are the lengths that stand after an address, as in string headers, and how often each does.
type lengths map[int]int

// searchAll searches what the process has of its own, up to maxScan.
func (l lengths) searchAll(pid int, mem *os.File, address uint64) {
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		return
	}
	left := uint64(maxScan)
	buf := make([]byte, 1<<20)
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[1], "rw-p") {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		lo, err1 := strconv.ParseUint(from, 16, 63)
		hi, err2 := strconv.ParseUint(to, 16, 63)
		if err1 != nil || err2 != nil {
			continue
		}
		for lo < hi && left > 0 {
			b := buf[:min(hi-lo, uint64(len(buf)), left)]
			n, _ := mem.ReadAt(b, int64(lo))
			l.search(b[:n], address)
			lo, left = lo+uint64(len(b)), left-uint64(len(b))
		}
	}
}

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

// likely returns the length that was found most often, of several the longest; 0 if none was found. What stands after a copy of the
// address by accident is rarely twice the same.
func (l lengths) likely() (length int) {
	for size, n := range l {
		if n > 0 && (n > l[length] || n == l[length] && size > length) {
			length = size
		}
	}
	return length
}
