//go:build linux

package linux

import (
	"runtime"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"

	"minidump/internal/arena"
)

// SystemRoot is the prefix of the paths of files that describe the operating system. Only tests set it.
var SystemRoot = ""

// IsAndroid reports whether this system is Android, even in a program that was built for Linux: then /system/build.prop
// exists. Since Android 8 unprivileged programs may not read that file, and perhaps not even see it.
func IsAndroid() bool {
	if runtime.GOOS == "android" {
		return true
	}
	fd, errno := sys.Open(sys.AT_FDCWD, SystemRoot+"/system/build.prop\x00", unix.O_PATH)
	if errno == 0 {
		sys.Close(fd)
	}
	return errno == 0 || errno == unix.EACCES || errno == unix.EPERM
}

// buildProps lists the files with the build properties of Android's partitions, in the order in which init reads them:
// a read-only property keeps its first value. Up to Android 10 prop.default was a separate file.
var buildProps = []string{"/system/etc/prop.default", "/default.prop", "/system/build.prop", "/system_ext/etc/build.prop",
	"/vendor/default.prop", "/vendor/build.prop", "/odm/etc/build.prop", "/odm/build.prop", "/product/etc/build.prop",
	"/product/build.prop"}

// systemProps lists the build properties that go into the dump, each with all its names. Since Android 12 init
// sets ro.build.fingerprint at start, and the files have only the fingerprints of the partitions.
var systemProps = [][]string{
	{"ro.build.fingerprint", "ro.system.build.fingerprint", "ro.vendor.build.fingerprint"},
	{"ro.build.version.release", "ro.system.build.version.release"},
	{"ro.build.version.sdk", "ro.system.build.version.sdk"},
	{"ro.build.version.security_patch"},
	{"ro.build.id", "ro.system.build.id"},
	{"ro.build.type", "ro.system.build.type"},
	{"ro.build.display.id"},
	{"ro.product.manufacturer", "ro.product.system.manufacturer", "ro.product.vendor.manufacturer"},
	{"ro.product.model", "ro.product.vendor.model", "ro.product.system.model"},
	{"ro.product.cpu.abi"},
}

// readAndroid reads the build properties that identify an Android system. They go into the lsb-release stream as lines
// KEY=VALUE, because Android has no such file. If none of the files can be read, osReleaseErr is set.
func (f *facts) readAndroid(texts *arena.Bytes) {
	var files [][]byte
	mark := texts.Used
	for _, path := range buildProps {
		sp, errno := readPath(texts, SystemRoot+path+"\x00")
		if errno == 0 {
			files = append(files, texts.Get(sp))
		} else if f.osReleaseErr == 0 || errno != unix.ENOENT {
			f.osReleaseErr = errno // "permission denied" is more informative than another file's "no such file"
		}
	}
	if len(files) > 0 {
		f.osReleaseErr = 0
	}
	var lines, fingerprint []byte
	for _, names := range systemProps {
		key, v := findProp(files, names)
		if len(v) == 0 {
			continue
		}
		lines = append(append(append(append(lines, key...), '='), v...), '\n')
		if names[0] == "ro.build.fingerprint" {
			fingerprint = append(fingerprint, v...)
		}
	}
	texts.Used = mark
	f.osRelease = texts.Put(lines)
	f.readVersion(texts, fingerprint)
}

// findProp returns the value of a property: that of the first of its names that is in one of the files.
func findProp(files [][]byte, names []string) (key string, value []byte) {
	for _, key := range names {
		for _, b := range files {
			if v := procfs.ParseBuildProp(b, key); len(v) > 0 {
				return key, v
			}
		}
	}
	return "", nil
}
