package backtrace

import (
	"fmt"
	"os"
	"strconv"

	"minidump/procfs"
	"minidump/stream"
	"minidump/symbol"
)

// served returns a function that reports whether the file at a path is on a file system that is served by a process or over a network,
// such as FUSE or NFS, or on one that is not known here: opening the file could block this program for ever. The device numbers come from
// the maps of the process. mounts is mountinfo of the process, if known. Without the maps, as in dumps by other writers, every file may be
// opened.
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
	if pid != 0 { // the process may be in another mount namespace
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

// mapped returns the path by which the file of a module can be opened while process pid has it mapped. That path opens the mapped
// file itself, whatever is now at the module's path and whatever the mount namespace. It requires root. The dump says which mapping
// belongs to the module.
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

// rootOf returns the path of the root directory of process pid if the process is in another mount namespace and the directory can be
// opened; otherwise "". It requires only the right to trace the process.
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
