package backtrace

import (
	"fmt"
	"os"
	"strconv"

	"minidump/procfs"
	"minidump/stream"
	"minidump/symbol"
)

// served returns a function that reports whether the file at a path lies on a file system that a server answers for, such as FUSE or
// NFS, or on one that is not known here: a silent one would hold this program for ever. The maps of the process have the device
// numbers. mounts is mountinfo of the process, if that is known. Without the maps, as in dumps of other writers, every file may be opened.
func served(f *stream.File, pid int, mounts []byte) func(path string) bool {
	maps, err := f.Text(stream.LinuxMaps)
	if err != nil {
		return func(string) bool { return false }
	}
	self, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return func(string) bool { return false }
	}
	mounts = append(mounts[:len(mounts):len(mounts)], self...)
	if pid != 0 { // it may be in a mount namespace of its own
		own, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/mountinfo")
		mounts = append(own, mounts...)
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

// mapped returns where the file of a module can be opened while process pid has it mapped, which is the very file, whatever is at its
// path now and in whatever mount namespace that is. It takes root. The dump says which mapping it is.
func mapped(f *stream.File, pid int) func(m symbol.Module) (string, bool) {
	if pid == 0 || os.Geteuid() != 0 {
		return nil
	}
	maps, err := f.Text(stream.LinuxMaps)
	if err != nil {
		return nil
	}
	first := map[string]string{}
	for rest := []byte(maps); ; {
		m, next, ok := procfs.NextMapping(rest)
		if !ok {
			break
		}
		if rest = next; m.Inode != 0 && m.Offset == 0 && first[string(m.Name)] == "" {
			first[string(m.Name)] = fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.Start, m.End)
		}
	}
	return func(m symbol.Module) (string, bool) {
		path, ok := first[m.Path]
		return path, ok && (m.BuildID != nil || m.DebugID != "")
	}
}

// rootOf returns the path of the root of process pid, if that is in another mount namespace than this process and can be opened; "" is the
// own root. It takes no more than the right to trace the process.
func rootOf(pid int) string {
	if pid == 0 {
		return ""
	}
	proc := "/proc/" + strconv.Itoa(pid)
	own, err1 := os.Readlink("/proc/self/ns/mnt")
	its, err2 := os.Readlink(proc + "/ns/mnt")
	if err1 != nil || err2 != nil || own == its {
		return ""
	}
	root, err := os.OpenRoot(proc + "/root")
	if err != nil {
		return ""
	}
	root.Close()
	return proc + "/root"
}
