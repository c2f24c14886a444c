package crash

import (
	"math"
	"os"
	"strconv"
	"strings"

	"minidump/internal/snapshot"
)

// processMemory is the memory of a process, read from /proc/PID/mem. Unlike a Writer it also reads pages of the program's file
// that the process has not used yet.
type processMemory struct {
	snapshot.Whole
	file *os.File
	pid  int
}

func openMemory(pid int) (processMemory, error) {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	return processMemory{file: file, pid: pid}, err
}

// ReadAt implements io.ReaderAt.
func (m processMemory) ReadAt(p []byte, off int64) (int, error) { return m.file.ReadAt(p, off) }

// Read implements snapshot.Memory.
func (m processMemory) Read(addr uint64, p []byte) int {
	if addr > math.MaxInt64 {
		return 0
	}
	n, _ := m.file.ReadAt(p, int64(addr))
	return max(n, 0)
}

// ReadV implements snapshot.Memory.
func (m processMemory) ReadV(reqs []snapshot.ReadRequest) {
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// each calls f with the writable private memory, in pieces of at most the length of buf, until f returns false.
func (m processMemory) each(buf []byte, f func(piece []byte) bool) {
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
