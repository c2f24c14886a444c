package procfs

import "bytes"

// Mount is one line of /proc/PID/mountinfo (proc(5); show_mountinfo in the kernel's fs/proc_namespace.c). In the four texts
// blanks, tabs, newlines and backslashes are escaped as a backslash and three octal digits.
type Mount struct {
	Major, Minor uint32 // the device, as in a line of maps
	Point        []byte // the mount point
	Type         []byte // of the file system: "ext4", "fuse.sshfs"
	Source       []byte // the source of the file system: a device, a server, or any word
	Options      []byte // of the file system
}

// NextMount returns the mount of the first line of b that can be parsed, and the bytes after that line. The texts point into b.
// It ignores a last line without a newline, because the text may have been cut short.
func NextMount(b []byte) (m Mount, rest []byte, ok bool) {
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return Mount{}, b, false
		}
		line := b[:end]
		b = b[end+1:]
		if m.parse(line) {
			return m, b, true
		}
	}
}

// parse reads "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL ...] - TYPE SOURCE SUPER-OPTIONS".
func (m *Mount) parse(line []byte) bool {
	*m = Mount{}
	_, line, ok1 := nextField(line) // ID
	_, line, ok2 := nextField(line) // PARENT
	device, line, ok3 := nextField(line)
	_, line, ok4 := nextField(line) // ROOT
	point, line, ok5 := nextField(line)
	_, line, ok6 := nextField(line) // OPTIONS
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || len(point) == 0 {
		return false
	}
	major, i := decimalAt(device, 0)
	if i == 0 || i >= len(device) || device[i] != ':' || major > 1<<32-1 {
		return false
	}
	minor, j := decimalAt(device, i+1)
	if j == i+1 || j != len(device) || minor > 1<<32-1 {
		return false
	}
	for { // the optional fields end with "-"
		field, rest, ok := nextField(line)
		if !ok {
			return false
		}
		line = rest
		if string(field) == "-" {
			break
		}
	}
	kind, line, ok := nextField(line)
	if !ok || len(kind) == 0 {
		return false
	}
	source, options, _ := nextField(line)
	*m = Mount{uint32(major), uint32(minor), point, kind, source, options}
	return true
}

// nextField cuts b at its first blank; if there is none it is not ok, and field is all of b.
func nextField(b []byte) (field, rest []byte, ok bool) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i:i], b[i+1:], true
	}
	return b, nil, false
}

// Backing states what provides a page of a file that is not in memory when the page is read.
type Backing uint8

const (
	BackingUnknown Backing = iota // nothing is known about the device or its kind of file system
	BackingServer                 // another program or machine, which may take forever
	BackingStacked                // other file systems, none of them known to be a BackingServer
	BackingLocal                  // the kernel itself, from memory or disk
)

// Answers reports whether a read of such a file completes by itself, waiting for nothing but the kernel.
func (b Backing) Answers() bool { return b == BackingLocal || b == BackingStacked }

// String returns a short English name.
func (b Backing) String() string {
	switch b {
	case BackingServer:
		return "server"
	case BackingStacked:
		return "stacked"
	case BackingLocal:
		return "local"
	}
	return "unknown"
}

// BackingOfType classifies a type of file system by its name in mountinfo. Types whose files are not plain data (devtmpfs, proc,
// sysfs: a mapping of such a file can be a device) and unexamined types are BackingUnknown.
func BackingOfType(name []byte) Backing {
	switch string(name) {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "jfs", "reiserfs", "nilfs2", "minix", "ufs", // disks
		"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs", "hfsplus", "apfs", "iso9660", "udf",
		"squashfs", "erofs", "cramfs", "romfs", "jffs2", "ubifs", "yaffs2", // images and flash
		"tmpfs", "ramfs", "rootfs", "hugetlbfs": // memory
		return BackingLocal
	case "overlay", "ecryptfs", "sdcardfs":
		return BackingStacked
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "coda", "ncpfs", "lustre", "beegfs", "gpfs",
		"orangefs", "pvfs2", "gfs2", "ocfs2", "vboxsf", "vmhgfs", "prl_fs", "hostfs", "autofs", "incremental-fs":
		return BackingServer
	}
	if hasPrefix(name, "fuse") { // fuse, fuseblk, fuse.NAME
		return BackingServer
	}
	return BackingUnknown
}

// backing classifies the file system of m without regard to other mounts. A local type can lie on something that is not local: a
// network block device, or an erofs whose data a program delivers (fsid=, Documentation/filesystems/erofs.rst).
func (m *Mount) backing() Backing {
	b := BackingOfType(m.Type)
	if b != BackingLocal {
		return b
	}
	const networkBlockDevice = 43 // NBD_MAJOR of linux/major.h
	if m.Major == networkBlockDevice || hasPrefix(m.Source, "/dev/rbd") || hasPrefix(m.Source, "/dev/drbd") {
		return BackingServer
	}
	if string(m.Type) == "erofs" {
		if hasOption(m.Options, "fsid") {
			return BackingServer
		}
		if len(m.Source) > 0 && m.Source[0] == '/' && !hasPrefix(m.Source, "/dev/") { // a file, Linux 6.12
			return BackingStacked
		}
	}
	return b
}

// BackingOf looks up the device major:minor, as in a line of maps, in the text of mountinfo files. It returns what provides the
// pages of its files, and the type of file system (pointing into text; nil if the device is missing).
//
// A device number belongs to one file system as long as a file of it is mapped, whatever the mount namespace. So text may be the
// mountinfo of the process followed by that of the reader. It must have been read after the maps. If it is cut short, the missing
// devices are BackingUnknown, nothing worse. btrfs has the same number in maps and mountinfo (statx has that of the subvolume).
// overlayfs has its own in both since about Linux 6.8; before that maps has the number of the layer.
//
// Memory that is mapped from no file of a mounted file system (memfd_create, shared anonymous memory, System V segments) is on a
// device that is missing from mountinfo, see MemoryDevices.
//
// A stacked file system is a BackingServer if text states that one of its layers is on one.
func BackingOf(text []byte, major, minor uint32) (Backing, []byte) {
	for b := text; ; {
		m, rest, ok := NextMount(b)
		if !ok {
			return BackingUnknown, nil
		}
		b = rest
		if m.Major != major || m.Minor != minor {
			continue
		}
		backing := m.backing()
		if backing == BackingStacked && layersAsk(text, &m) {
			backing = BackingServer
		}
		return backing, m.Type
	}
}

// layer is a folder that a stacked file system consists of, and the mount that contains it, as far as found.
type layer struct {
	path    []byte
	length  int // of the mount's Point; 0: none found yet
	backing Backing
}

// layersAsk reports whether a layer of m is on a file system that is a BackingServer.
func layersAsk(text []byte, m *Mount) bool {
	var layers [32]layer // looked up together, so that text is read once for all of them
	n := 0
	rest := layerPaths{options: m.Options}
	if string(m.Type) != "overlay" {
		rest = layerPaths{list: m.Source}
	}
	for {
		path := rest.next()
		if len(path) > 0 && path[0] == '/' { // a relative path starts in a folder that is no longer known
			layers[n] = layer{path: path}
			n++
		}
		if n == len(layers) || path == nil {
			if onServer(text, layers[:n]) {
				return true
			}
			n = 0
		}
		if path == nil {
			return false
		}
	}
}

// onServer finds the mount of each path: the one with the longest Point, and the last of several. It reports whether any is a
// BackingServer.
func onServer(text []byte, layers []layer) bool {
	if len(layers) == 0 {
		return false
	}
	for b := text; ; {
		m, rest, ok := NextMount(b)
		if !ok {
			break
		}
		b = rest
		for i := range layers {
			if l := &layers[i]; len(m.Point) >= l.length && below(l.path, m.Point) {
				l.length, l.backing = len(m.Point), m.backing()
			}
		}
	}
	for i := range layers {
		if layers[i].backing == BackingServer {
			return true
		}
	}
	return false
}

// below reports whether path is dir or in dir.
func below(path, dir []byte) bool {
	if len(dir) == 1 {
		return true
	}
	return len(path) >= len(dir) && string(path[:len(dir)]) == string(dir) && (len(path) == len(dir) || path[len(dir)] == '/')
}

// layerPaths iterates over the folders in the options of an overlayfs: lowerdir=A:B:C, lowerdir+=A, datadir+=A, upperdir=A.
type layerPaths struct {
	options []byte
	list    []byte // the rest of the current option
}

// next returns the next path; nil at the end.
func (l *layerPaths) next() []byte {
	for {
		for len(l.list) > 0 {
			end := bytes.IndexByte(l.list, ':')
			if end < 0 {
				end = len(l.list)
			}
			path := l.list[:end]
			l.list = l.list[min(end+1, len(l.list)):]
			if len(path) > 0 { // two colons separate layers and data-only layers
				return path
			}
		}
		if len(l.options) == 0 {
			return nil
		}
		end := bytes.IndexByte(l.options, ',')
		if end < 0 {
			end = len(l.options)
		}
		option := l.options[:end]
		l.options = l.options[min(end+1, len(l.options)):]
		equals := bytes.IndexByte(option, '=')
		if equals < 0 {
			continue
		}
		switch string(option[:equals]) {
		case "lowerdir", "lowerdir+", "datadir+", "upperdir":
			l.list = option[equals+1:]
		}
	}
}

// hasOption reports whether the list has the option name with a value.
func hasOption(options []byte, name string) bool {
	for len(options) > 0 {
		end := bytes.IndexByte(options, ',')
		if end < 0 {
			end = len(options)
		}
		if o := options[:end]; len(o) > len(name) && o[len(name)] == '=' && hasPrefix(o, name) {
			return true
		}
		options = options[min(end+1, len(options)):]
	}
	return false
}
