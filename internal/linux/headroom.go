//go:build linux

package linux

import (
	"bytes"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/snapshot"
	"minidump/internal/sys"
	"minidump/procfs"
)

// A headroom determines and watches how much memory is free, on the machine and in the process's control group, for the pages that
// the kernel copies when the process writes to them while its copy lives.
type headroom struct {
	groups     [maxGroups]memoryGroup
	number     int
	text       []byte
	watching   atomic.Bool
	end, ended uint32 // futexes
	wait       unix.Timespec
}

// maxGroups bounds how many control groups, from the process's upwards, are checked.
const maxGroups = 16

// A memoryGroup has the names of the files of a control group that limits memory, with a zero byte at the end of each, and the key
// of the inactive pages in stat.
type memoryGroup struct{ limit, used, stat, inactive string }

const (
	// headroomShare: a quarter of the private memory must be free before a copy is made. A process seldom writes to all its pages
	// during a dump.
	headroomShare = 4
	// headroomLeast must be free in addition, in bytes, and must remain free while the copy lives.
	headroomLeast = 32 << 20
	// tableShare is the ratio of memory to its page tables: 8 bytes per page of 4 KiB.
	tableShare = 512
	// headroomEvery is how often the free memory is checked.
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

// find determines the control groups of the process from /proc/PID/cgroup: the one of version 2, whose line begins with "0::", and
// the one of version 1 with the controller memory (cgroups(7)).
func (h *headroom) find(l *Source) {
	h.number = 0
	n, _, _ := l.dir.ReadFile("cgroup\x00", h.text)
	for text := h.text[:n]; len(text) > 0; {
		var line []byte
		line, text = cutByte(text, '\n')
		_, line = cutByte(line, ':')
		controllers, path := cutByte(line, ':')
		switch {
		case len(path) == 0 || path[0] != '/' || len(path) > 2 && path[1] == '.' && path[2] == '.': // outside of the namespace
		case len(controllers) == 0:
			h.add("/sys/fs/cgroup", string(path), memoryGroup{"/memory.max", "/memory.current", "/memory.stat", "inactive_file "})
		case hasController(controllers, "memory"):
			h.add("/sys/fs/cgroup/memory", string(path),
				memoryGroup{"/memory.limit_in_bytes", "/memory.usage_in_bytes", "/memory.stat", "total_inactive_file "})
		}
	}
}

// hasController reports whether a comma-separated list contains name.
func hasController(list []byte, name string) bool {
	for len(list) > 0 {
		var one []byte
		if one, list = cutByte(list, ','); string(one) == name {
			return true
		}
	}
	return false
}

// cutByte returns the parts of b before and after the first c; all of b and nil if there is none.
func cutByte(b []byte, c byte) (before, after []byte) {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// add adds the group at path below root, and the groups above it.
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
		end := len(path) - 1
		for end > 1 && path[end] != '/' {
			end--
		}
		path = path[:max(1, end)]
	}
}

// free returns how many bytes are free: the smallest number of the machine and of each group. Memory that the kernel can drop counts
// as free.
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
	for len(text) > 0 {
		var line []byte
		if line, text = cutByte(text, '\n'); len(line) > len(key) && string(line[:len(key)]) == key {
			for line = line[len(key):]; len(line) > 0 && line[0] == ' '; line = line[1:] {
			}
			return parseNumber(line)
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

var errCopyLost = snapshot.AlsoError(snapshot.ErrSnapshot, errors.New("memory ran short, so the snapshot was given up"))

// watch ends the copy if memory runs short, before the kernel kills a process to free memory. It uses a futex: a timer and a channel
// would make every dumper larger.
func (h *headroom) watch(c *processCopy) {
	h.watching.Store(true)
	h.end, h.ended = 0, 0
	tid := int(c.tid)
	go func() {
		for atomic.LoadUint32(&h.end) == 0 {
			h.wait = unix.NsecToTimespec(int64(headroomEvery))
			if sys.FutexWait(&h.end, 0, &h.wait) != unix.ETIMEDOUT {
				continue
			}
			if free, known := h.free(); known && free < headroomLeast {
				c.lost.Store(true)
				_ = unix.Kill(tid, unix.SIGKILL)
				break
			}
		}
		atomic.StoreUint32(&h.ended, 1)
		sys.FutexWake(&h.ended)
	}()
}

// stop ends watch, and waits until it has ended: the copy's id may soon be another process's.
func (h *headroom) stop() {
	if !h.watching.Swap(false) {
		return
	}
	atomic.StoreUint32(&h.end, 1)
	sys.FutexWake(&h.end)
	for atomic.LoadUint32(&h.ended) == 0 {
		sys.FutexWait(&h.ended, 0, nil)
	}
}
