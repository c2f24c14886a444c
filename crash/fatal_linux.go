package crash

import (
	"os"
	"strconv"
	"strings"
)

// fatalText returns the text of a fatal error; see fatal.go.
func fatalText(pid int, r *report) string {
	r.drain(enoughForFatal)
	mem, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	if err != nil {
		return ""
	}
	defer mem.Close()
	call := parseFatal(string(r.text))
	return call.text(&processMemory{mem, pid})
}

// processMemory is the memory of a process.
type processMemory struct {
	*os.File
	pid int
}

func (m *processMemory) each(buf []byte, f func(piece []byte) bool) {
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(m.pid) + "/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "rw-p") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		lo, err1 := strconv.ParseUint(from, 16, 63)
		hi, err2 := strconv.ParseUint(to, 16, 63)
		if err1 != nil || err2 != nil {
			continue
		}
		for lo < hi {
			b := buf[:min(hi-lo, uint64(len(buf)))]
			n, _ := m.ReadAt(b, int64(lo))
			if lo += uint64(len(b)); !f(b[:n]) {
				return
			}
		}
	}
}
