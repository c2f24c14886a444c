//go:build linux

package linux

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"minidump/procfs"
)

// A headroom knows how much memory is free for the pages that are copied when the process writes while its copy lives, on the
// machine and in the process's control group, and watches it meanwhile.
type headroom struct {
	groups [maxGroups]memoryGroup
	number int
	text   []byte
	end    chan struct{}
	ended  chan struct{}
}

// maxGroups is how many control groups above the process are looked at.
const maxGroups = 16

// A memoryGroup has the names of the files of a control group that limits memory, with a zero byte at the end.
type memoryGroup struct{ limit, used, stat, inactive string }

const (
	// headroomShare is the share of the private memory, one part of so many, that must be free before a copy is made. A process
	// seldom writes to all its pages in the time of a dump.
	headroomShare = 4
	// headroomLeast is what must be free in addition, in bytes, and what must be left while the copy lives.
	headroomLeast = 32 << 20
	// tableShare is the size of page tables: 8 bytes for a page of 4 KiB.
	tableShare = 512
	// headroomEvery is how often the free memory is looked at.
	headroomEvery = 10 * time.Millisecond
)

// bears reports whether enough memory is free for a copy of the process.
func (h *headroom) bears(l *Source) bool {
	if h.text == nil {
		h.text = make([]byte, 16<<10)
	}
	m := l.readStatm()
	private := (m.Resident - min(m.Resident, m.Shared)) * uint64(l.facts.target.PageSize)
	h.find(l)
	free, known := h.free()
	return !known || free >= private/headroomShare+private/tableShare+headroomLeast
}

// find finds the control groups of the process: of version 2, whose line in /proc/PID/cgroup begins with "0::", and of version 1
// with the controller memory (cgroups(7)).
func (h *headroom) find(l *Source) {
	h.number = 0
	n, _, _ := l.dir.ReadFile("cgroup\x00", h.text)
	for line := range bytes.Lines(h.text[:n]) {
		_, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		controllers, path, _ := bytes.Cut(rest, []byte(":"))
		switch {
		case len(path) == 0 || path[0] != '/' || bytes.Contains(path, []byte("/..")):
		case len(controllers) == 0:
			h.add("/sys/fs/cgroup", string(path), memoryGroup{"/memory.max", "/memory.current", "/memory.stat", "inactive_file "})
		case bytes.Contains(append(append([]byte(","), controllers...), ','), []byte(",memory,")):
			h.add("/sys/fs/cgroup/memory", string(path),
				memoryGroup{"/memory.limit_in_bytes", "/memory.usage_in_bytes", "/memory.stat", "total_inactive_file "})
		}
	}
}

// add adds the group and those above it.
func (h *headroom) add(root, path string, names memoryGroup) {
	for h.number < maxGroups {
		base := root
		if path != "/" {
			base += path
		}
		h.groups[h.number] = memoryGroup{base + names.limit + "\x00", base + names.used + "\x00", base + names.stat + "\x00", names.inactive}
		h.number++
		if path == "/" || path == "" {
			return
		}
		path = path[:max(1, bytes.LastIndexByte([]byte(path), '/'))]
	}
}

// free returns how many bytes are free, on the machine and in each group, whichever is less. What the kernel can drop counts as
// free.
func (h *headroom) free() (free uint64, known bool) {
	free = ^uint64(0)
	n, _, errno := procfs.ReadPath("/proc/meminfo\x00", h.text)
	if available, ok := valueIn(h.text[:n], "MemAvailable:"); ok && errno == 0 {
		swap, _ := valueIn(h.text[:n], "SwapFree:")
		free, known = (available+swap)<<10, true
	}
	for i := range h.groups[:h.number] {
		g := &h.groups[i]
		limit, ok := h.number64(g.limit)
		used, also := h.number64(g.used)
		if !ok || !also { // "max", or no such file
			continue
		}
		n, _, _ := procfs.ReadPath(g.stat, h.text)
		inactive, _ := valueIn(h.text[:n], g.inactive)
		used -= min(used, inactive)
		free, known = min(free, limit-min(limit, used)), true
	}
	return free, known
}

// number64 reads a file with one number.
func (h *headroom) number64(path string) (uint64, bool) {
	n, _, errno := procfs.ReadPath(path, h.text)
	if errno != 0 {
		return 0, false
	}
	return parseNumber(h.text[:n])
}

// valueIn returns the number in the line that begins with key.
func valueIn(text []byte, key string) (uint64, bool) {
	for line := range bytes.Lines(text) {
		if len(line) > len(key) && string(line[:len(key)]) == key {
			return parseNumber(bytes.TrimLeft(line[len(key):], " "))
		}
	}
	return 0, false
}

// parseNumber returns the decimal number at the start of b.
func parseNumber(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		v, ok = v*10+uint64(c-'0'), true
	}
	return v, ok
}

// watch ends the copy when memory runs short, before the kernel kills a process for that.
func (h *headroom) watch(c *processCopy) {
	h.end, h.ended = make(chan struct{}), make(chan struct{})
	end, ended, tid := h.end, h.ended, int(c.tid)
	go func() {
		defer close(ended)
		tick := time.NewTicker(headroomEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				if free, known := h.free(); known && free < headroomLeast {
					c.lost.Store(true)
					_ = unix.Kill(tid, unix.SIGKILL)
					return
				}
			}
		}
	}()
}

// stop ends watch, and waits for that: the number of the copy may soon be another process's.
func (h *headroom) stop() {
	if h.end != nil {
		close(h.end)
		<-h.ended
		h.end = nil
	}
}
