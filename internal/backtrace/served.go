package backtrace

import (
	"os"

	"minidump/procfs"
	"minidump/stream"
)

// served returns a function that reports whether the file at a path lies on a file system that a server answers for, such as FUSE or
// NFS, or on one that is not known here: a silent one would hold this program for ever. The maps of the process have the device
// numbers. Without them, as in dumps of other writers, every file may be opened.
func served(f *stream.File) func(path string) bool {
	maps, err := f.Text(stream.LinuxMaps)
	if err != nil {
		return func(string) bool { return false }
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return func(string) bool { return false }
	}
	type device struct{ major, minor uint32 }
	answers := map[device]bool{}
	paths := map[string]bool{}
	for rest := []byte(maps); ; {
		m, next, ok := procfs.NextMapping(rest)
		if !ok {
			break
		}
		if rest = next; m.Inode == 0 || len(m.Name) == 0 {
			continue
		}
		d := device{m.Major, m.Minor}
		known, ok := answers[d]
		if !ok {
			b, _ := procfs.BackingOf(mounts, d.major, d.minor)
			known = b.Answers()
			answers[d] = known
		}
		if !known {
			paths[string(m.Name)] = true
		}
	}
	return func(path string) bool { return paths[path] }
}
