//go:build linux

package minidump

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	stdelf "debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/linux"
)

// These tests were written without an Android system. They use real shared objects of Android applications, which a
// victim maps as Android's linker does.

// aars are libraries of Android applications by their Maven names, with the SHA-256 of each file. The libraries in
// jna have neither a build id nor a SONAME; the others have both.
var aars = []struct{ artifact, file, sum string }{
	{"net.java.dev.jna:jna:5.14.0:aar", "jna-5.14.0.aar", "81a8b9afc65f9d6b205338c25908af8de0ff8411a00985104c9d83fffdfab380"},
	{"org.conscrypt:conscrypt-android:2.5.2:aar", "conscrypt-android-2.5.2.aar", "42d18979caf53f5ef68548c76d4c98b41adb910a32ad9448133f9c5b20bd65a3"},
	{"com.github.luben:zstd-jni:1.5.5-11:aar", "zstd-jni-1.5.5-11.aar", "f5f8f9009c32f069e8a1dd6aa0da121cfda506e4d413d13cc63801b3536a9fa1"},
}

var androidABIs = []string{"arm64-v8a", "armeabi-v7a", "x86", "x86_64"}

// aarFile returns the path of one of aars: in the folder MINIDUMP_AARS, or if that is not set in the user's cache folder,
// where Maven downloads it if it is missing.
func aarFile(t testing.TB, artifact, file, sum string) string {
	t.Helper()
	dir := os.Getenv("MINIDUMP_AARS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "minidump-ci/aar")
	}
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("MINIDUMP_AARS") == "" {
		cmd := exec.Command(tool(t, "mvn"), "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
			"-Dartifact="+artifact, "-DoutputDirectory="+dir)
		out, mvnErr := cmd.CombinedOutput()
		if b, err = os.ReadFile(path); err != nil {
			err = fmt.Errorf("mvn: %v, %s", mvnErr, out)
		}
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s can't be had, and CI=true: %v", artifact, err)
		}
		t.Skipf("%s is not available: %v", artifact, err)
	}
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum {
		t.Fatalf("%s has the SHA-256 %x", path, got)
	}
	return path
}

// androidLibrary is a shared object from one of aars.
type androidLibrary struct {
	path, abi, soname string
	contents          []byte
}

// androidLibraries extracts the libraries for one ABI from aars, except those that can't be mapped with this
// machine's page size.
func androidLibraries(t testing.TB, abi string) (libs []androidLibrary) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), abi)
	os.Mkdir(dir, 0755)
	for _, a := range aars {
		r, err := zip.OpenReader(aarFile(t, a.artifact, a.file, a.sum))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, f := range r.File {
			if ok, _ := filepath.Match("jni/"+abi+"/*.so", f.Name); !ok {
				continue
			}
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			l := androidLibrary{abi: abi, path: filepath.Join(dir, filepath.Base(f.Name))}
			if l.contents, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(l.path, l.contents, 0644)
			}
			if err != nil {
				t.Fatal(err)
			}
			o, err := stdelf.NewFile(bytes.NewReader(l.contents))
			if err != nil {
				t.Fatal(err)
			}
			if names, _ := o.DynString(stdelf.DT_SONAME); len(names) > 0 {
				l.soname = names[0]
			}
			fits := true
			for _, p := range o.Progs {
				fits = fits && (p.Type != stdelf.PT_LOAD || p.Align >= uint64(os.Getpagesize()))
			}
			if fits {
				libs = append(libs, l)
			}
		}
	}
	if len(libs) == 0 {
		t.Skipf("no library for %s can be mapped in pages of %d bytes", abi, os.Getpagesize())
	}
	return libs
}

// placed is where golinker has mapped an item.
type placed struct{ base, end, bias uint64 }

// linker starts the victim that maps items.
func linker(t testing.TB, items ...string) (*victims.Proc, []placed) {
	t.Helper()
	v := victims.Start(t, victims.Go(t, "golinker"), items...)
	at := make([]placed, len(items))
	for i := range at {
		if _, err := fmt.Sscanf(v.Line(t), "%x %x %x", &at[i].base, &at[i].end, &at[i].bias); err != nil {
			t.Fatal(err)
		}
	}
	return v, at
}

// modulesIn returns the modules that overlap a range.
func modulesIn(t testing.TB, f *stream.File, at placed) (found []stream.ModuleInfo) {
	t.Helper()
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mods {
		if m.BaseOfImage < at.end && at.base < m.BaseOfImage+uint64(m.SizeOfImage) {
			found = append(found, m)
		}
	}
	return found
}

// checkLibrary checks that exactly one module overlaps at, and that it has the name and the id.
func checkLibrary(t testing.TB, f *stream.File, at placed, name, id string) {
	t.Helper()
	found := modulesIn(t, f, at)
	if len(found) != 1 {
		t.Errorf("%s at %#x: %d modules: %+v", name, at.base, len(found), found)
		return
	}
	m := found[0]
	if m.BaseOfImage != at.base || uint64(m.SizeOfImage) != at.end-at.base {
		t.Errorf("%s: base %#x, size %#x, want %#x, %#x", name, m.BaseOfImage, m.SizeOfImage, at.base, at.end-at.base)
	}
	if m.Name != name || m.BuildID != id {
		t.Errorf("%s with build id %s, want %s with %s", m.Name, m.BuildID, name, id)
	}
}

// notElsewhere skips tests that take minutes in emulated machines, unless the writer is built for Android.
func notElsewhere(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "android" {
		victims.SkipEmulated(t, "the processor makes no difference to Android's libraries")
	}
}

// TestAndroidLibraries dumps a process that has mapped the libraries of all ABIs from their own files.
func TestAndroidLibraries(t *testing.T) {
	notElsewhere(t)
	for _, abi := range androidABIs {
		t.Run(abi, func(t *testing.T) {
			libs := androidLibraries(t, abi)
			var items []string
			for _, l := range libs {
				items = append(items, "lib,"+l.path+",0")
			}
			v, at := linker(t, items...)
			f, r := dump(t, v.PID, Options{})
			for i, l := range libs {
				checkLibrary(t, f, at[i], l.path, fileID(t, l.path))
			}
			if r.Soft != 0 {
				t.Errorf("soft errors %v", r.SoftErrors())
			}
		})
	}
}

// apkAlignment is the alignment of libraries in an archive: enough for every page size.
const apkAlignment = 65536 / 2

// addAligned adds an uncompressed entry that begins on a page boundary, and returns its offset.
func addAligned(t testing.TB, b *bytes.Buffer, w *zip.Writer, name string, contents []byte) (offset int) {
	t.Helper()
	const localHeader = 30
	w.Flush()
	align := max(apkAlignment, os.Getpagesize())
	pad := align - (b.Len()+localHeader+len(name))%align
	if pad < 4 {
		pad += align
	}
	extra := make([]byte, pad)
	extra[0], extra[1] = 0x35, 0xd9 // Android's alignment field
	extra[2], extra[3] = byte(pad-4), byte((pad-4)>>8)
	f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, Extra: extra, CompressedSize64: uint64(len(contents)),
		UncompressedSize64: uint64(len(contents))})
	if err != nil {
		t.Fatal(err)
	}
	w.Flush()
	offset = b.Len()
	if offset%align != 0 {
		t.Fatalf("%s lies at %#x", name, offset)
	}
	if _, err := f.Write(contents); err != nil {
		t.Fatal(err)
	}
	return offset
}

// TestAndroidLibrariesInAPK dumps a process that has mapped libraries straight out of an archive, next to each other and
// between other entries of the same archive that are mapped as data.
func TestAndroidLibrariesInAPK(t *testing.T) {
	notElsewhere(t)
	for _, abi := range androidABIs {
		t.Run(abi, func(t *testing.T) {
			libs := androidLibraries(t, abi)
			apk := filepath.Join(t.TempDir(), "base.apk")
			var b bytes.Buffer
			w := zip.NewWriter(&b)
			manifest, err := w.Create("AndroidManifest.xml") // compressed
			if err != nil {
				t.Fatal(err)
			}
			manifest.Write(bytes.Repeat([]byte("manifest "), 10000))
			w.Create("assets/") // ends the entry before it
			first := addAligned(t, &b, w, "assets/first", make([]byte, 65536))
			items := []string{fmt.Sprintf("data,%s,0", apk), fmt.Sprintf("data,%s,%d", apk, first)}
			for _, l := range libs {
				offset := addAligned(t, &b, w, "lib/"+abi+"/"+filepath.Base(l.path), l.contents)
				items = append(items, fmt.Sprintf("lib,%s,%d", apk, offset))
			}
			last := addAligned(t, &b, w, "resources.arsc", make([]byte, 65536))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(apk, b.Bytes(), 0644); err != nil {
				t.Fatal(err)
			}
			rising := append(slices.Clone(items), fmt.Sprintf("data,%s,%d", apk, last))
			falling := slices.Clone(rising)
			slices.Reverse(falling)
			for _, order := range [][]string{rising, falling, items[2:], append(rising, items[2:]...)} {
				v, at := linker(t, order...)
				f, r := dump(t, v.PID, Options{})
				for i, item := range order {
					k := slices.Index(items[2:], item)
					if k < 0 {
						if m := modulesIn(t, f, at[i]); len(m) != 0 {
							t.Errorf("data is in modules %+v", m)
						}
						continue
					}
					l := libs[k]
					name := l.soname
					if name == "" {
						name = filepath.Base(l.path)
					}
					checkLibrary(t, f, at[i], apk+"/"+name, fileID(t, l.path))
				}
				if r.Soft != 0 {
					t.Errorf("soft errors %v", r.SoftErrors())
				}
			}
		})
	}
}

// objectSpec describes the object that smallObject makes.
type objectSpec struct {
	class  stdelf.Class
	typ    stdelf.Type
	vaddr  uint64 // of the first PT_LOAD, in pages
	tag    stdelf.DynTag
	soname string
	id     byte
}

// smallObject returns a shared object of two and a half pages.
func smallObject(s objectSpec) []byte {
	order := hostOrder().(binary.AppendByteOrder)
	page := uint64(os.Getpagesize())
	base := s.vaddr * page
	word := func(b []byte, v uint64) []byte {
		if s.class == stdelf.ELFCLASS32 {
			return order.AppendUint32(b, uint32(v))
		}
		return order.AppendUint64(b, v)
	}
	machine, ehsize, phsize := stdelf.EM_AARCH64, uint64(64), uint64(56)
	if s.class == stdelf.ELFCLASS32 {
		machine, ehsize, phsize = stdelf.EM_ARM, 52, 32
	}
	const phnum = 4
	note := ehsize + phnum*phsize
	noteBytes := order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, 4), 20), 3) // NT_GNU_BUILD_ID
	noteBytes = append(append(noteBytes, "GNU\x00"...), bytes.Repeat([]byte{s.id}, 20)...)
	strings := note + uint64(len(noteBytes))
	text := "\x00" + s.soname + "\x00"

	data := byte(stdelf.ELFDATA2LSB)
	if hostOrder() == binary.BigEndian {
		data = byte(stdelf.ELFDATA2MSB)
	}
	b := append([]byte("\x7fELF"), byte(s.class), data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, uint16(s.typ)), uint16(machine)), 1)
	b = word(word(word(b, 0), ehsize), 0)
	b = order.AppendUint32(b, 0)
	for _, v := range []uint64{ehsize, phsize, phnum, 0, 0, 0} {
		b = order.AppendUint16(b, uint16(v))
	}
	prog := func(typ stdelf.ProgType, flags stdelf.ProgFlag, off, filesz, memsz, align uint64) {
		b = order.AppendUint32(b, uint32(typ))
		if s.class == stdelf.ELFCLASS64 {
			b = order.AppendUint32(b, uint32(flags))
		}
		b = word(word(word(word(word(b, off), base+off), base+off), filesz), memsz)
		if s.class == stdelf.ELFCLASS32 {
			b = order.AppendUint32(b, uint32(flags))
		}
		b = word(b, align)
	}
	var dynamic []byte
	for _, e := range [][2]uint64{{uint64(stdelf.DT_STRTAB), base + strings}, {uint64(stdelf.DT_STRSZ), uint64(len(text))},
		{uint64(s.tag), base + strings}, {uint64(stdelf.DT_SONAME), 1}, {0, 0}} {
		if e[0] == uint64(stdelf.DT_SONAME) && s.soname == "" {
			continue
		}
		dynamic = word(word(dynamic, e[0]), e[1])
	}
	n := uint64(len(dynamic))
	prog(stdelf.PT_LOAD, stdelf.PF_R|stdelf.PF_X, 0, page, page, page)
	prog(stdelf.PT_LOAD, stdelf.PF_R|stdelf.PF_W, page, n, 2*page, page)
	prog(stdelf.PT_DYNAMIC, stdelf.PF_R|stdelf.PF_W, page, n, n, 8)
	prog(stdelf.PT_NOTE, stdelf.PF_R, note, uint64(len(noteBytes)), uint64(len(noteBytes)), 4)
	b = append(append(b, noteBytes...), text...)
	return append(append(b, make([]byte, page-uint64(len(b)))...), dynamic...)
}

func writeObject(t testing.TB, dir, name string, s objectSpec) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, smallObject(s), 0644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	dtAndroidRel  stdelf.DynTag = 0x6000000f
	dtAndroidRela stdelf.DynTag = 0x60000011
)

// TestPackedRelocations dumps a process with libraries whose first segment is not at address 0. If Android's packer
// has packed the relocations of a library, its symbols are relative to an address below the image; the others are like
// any library.
func TestPackedRelocations(t *testing.T) {
	dir := t.TempDir()
	page := uint64(os.Getpagesize())
	specs := []objectSpec{
		{stdelf.ELFCLASS64, stdelf.ET_DYN, 7, dtAndroidRela, "librela.so", 1},
		{stdelf.ELFCLASS32, stdelf.ET_DYN, 3, dtAndroidRel, "librel.so", 2},
		{stdelf.ELFCLASS64, stdelf.ET_DYN, 7, stdelf.DT_HASH, "libother.so", 3},
		{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, dtAndroidRela, "libzero.so", 4},
		{stdelf.ELFCLASS32, stdelf.ET_EXEC, 2, dtAndroidRel, "program", 5},
	}
	var items []string
	for i, s := range specs {
		// Gaps between the libraries: the packed ones extend downwards.
		items = append(items, "code,gap", "lib,"+writeObject(t, dir, s.soname, s)+",0")
		if s.class == stdelf.ELFCLASS64 && i == 0 { // the packer works on libraries in archives too
			items = append(items, "code,gap", "lib,"+filepath.Join(dir, s.soname)+",0")
		}
	}
	apk := filepath.Join(dir, "base.apk")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	offset := addAligned(t, &b, w, "lib/arm64-v8a/librela.so", smallObject(specs[0]))
	w.Close()
	if err := os.WriteFile(apk, b.Bytes(), 0644); err != nil {
		t.Fatal(err)
	}
	items = append(items, "code,gap", fmt.Sprintf("lib,%s,%d", apk, offset))
	v, at := linker(t, items...)
	dmp, f, _ := dumpFile(t, v.PID, Options{})
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range items {
		path, isLib := strings.CutPrefix(item, "lib,")
		if !isLib {
			continue
		}
		path, _, _ = strings.Cut(path, ",")
		s := specs[0]
		name := path
		if path == apk {
			name += "/" + s.soname
		} else {
			s = specs[slices.IndexFunc(specs, func(s objectSpec) bool { return filepath.Join(dir, s.soname) == path })]
		}
		base := at[i].base
		if s.typ == stdelf.ET_DYN && s.tag != stdelf.DT_HASH {
			if base = at[i].bias; base != at[i].base-s.vaddr*page {
				t.Fatalf("the victim says base %#x, bias %#x", at[i].base, base)
			}
		}
		k := slices.IndexFunc(mods, func(m stream.ModuleInfo) bool { return m.BaseOfImage == base })
		if k < 0 {
			t.Errorf("no module at %#x for %s, mapped at %#x", base, item, at[i].base)
			continue
		}
		m := mods[k]
		id := strings.Repeat(fmt.Sprintf("%02x", s.id), 20)
		if m.Name != name || m.BaseOfImage+uint64(m.SizeOfImage) != at[i].end || m.BuildID != id {
			t.Errorf("module %+v, want %s that ends at %#x", m, name, at[i].end)
		}
	}
	if program := victimProgram(t, v.PID); mods[0].Name != program {
		t.Errorf("first module %s, want %s", mods[0].Name, program)
	}
	if os.Getenv("MINIDUMP_VICTIMS") != "" {
		return // a machine without other readers
	}
	if r := stackwalk(t, dmp); r.Status != "OK" || len(r.Modules) != len(mods) {
		t.Errorf("stackwalk: status %s, %d modules, want %d", r.Status, len(r.Modules), len(mods))
	}
}

func victimProgram(t testing.TB, pid int) string {
	t.Helper()
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNamedMemory dumps a process with libraries in files that exist only in memory, and with such files that are not
// libraries.
func TestNamedMemory(t *testing.T) {
	dir := t.TempDir()
	with := writeObject(t, dir, "with.so", objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, stdelf.DT_HASH, "libwith.so", 1})
	without := writeObject(t, dir, "without.so", objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, stdelf.DT_HASH, "", 2})
	items := []string{
		"memfd,some name," + with, "memfd,libplain.so," + without,
		"code,jit-cache", "code,jit-zygote-cache", "copy,dalvik-main space," + with, "copy,libc_malloc," + without,
	}
	names := []string{"/libwith.so", "/memfd:libplain.so"}
	ids := []byte{1, 2}
	if ashmem := "/dev/ashmem"; os.Getuid() == 0 && os.Mkdir(ashmem, 0755) == nil { // not on Android, which has the device
		t.Cleanup(func() { os.Remove(ashmem) })
		if unix.Mount("none", ashmem, "tmpfs", 0, "") == nil { // shared memory, as Android's is
			t.Cleanup(func() { unix.Unmount(ashmem, unix.MNT_DETACH) })
		}
		file := copyTo(t, ashmem+"/libshared.so", with)
		t.Cleanup(func() { os.Remove(file) })
		if mountAllowsCode(t, file) {
			items = slices.Insert(items, 2, "lib,"+file+",0")
			names, ids = append(names, ashmem+"/libwith.so"), append(ids, 1)
		}
	}
	v, at := linker(t, items...)
	os.Remove("/dev/ashmem/libshared.so")
	maps := readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))
	for _, want := range []string{"/memfd:some name (deleted)", "/memfd:jit-cache (deleted)"} {
		if !strings.Contains(maps, want) {
			t.Fatalf("no %s in\n%s", want, maps)
		}
	}
	f, r := dump(t, v.PID, Options{})
	for i := range items {
		if i < len(names) {
			checkLibrary(t, f, at[i], names[i], strings.Repeat(fmt.Sprintf("%02x", ids[i]), 20))
		} else if m := modulesIn(t, f, at[i]); len(m) != 0 {
			t.Errorf("%s: modules %+v", items[i], m)
		}
	}
	if r.Soft != 0 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
}

// mountAllowsCode reports whether the file system of a file is mounted without noexec.
func mountAllowsCode(t testing.TB, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err == nil {
		unix.Munmap(b)
	}
	return err == nil
}

// androidRoot makes the writer read the files of an Android system from a folder, until the test ends.
func androidRoot(t testing.TB, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0644); err != nil {
			t.Fatal(err)
		}
	}
	linux.SystemRoot = dir
	t.Cleanup(func() {
		linux.SystemRoot = ""
		sys.ForbidOpenat2(false)
	})
}

const (
	olderProps = `# begin build properties
ro.build.id=QQ1A.200205.002
ro.build.display.id=QQ1A.200205.002 test-keys
ro.build.version.sdk=29
ro.build.version.release=10
ro.build.type=user
ro.product.cpu.abi=arm64-v8a
ro.build.fingerprint=maker/pro duct/device:10/QQ1A.200205.002/6084393:user/test-keys
`
	newerProps = `# from generic.mk
import /system/etc/other.prop
ro.system.build.fingerprint=maker/product/device:14/UP1A.231005.007/10754064:userdebug/test-keys
ro.build.id=UP1A.231005.007
ro.system.build.version.sdk=34
ro.build.version.release = 14
ro.build.version.security_patch=2023-10-05
`
	vendorProps = `ro.vendor.build.fingerprint=maker/vendor/device:13/OLD/1:userdebug/test-keys
ro.product.vendor.model=Model 5
ro.product.vendor.manufacturer=maker
ro.build.id=not the first
`
)

// TestAndroidSystem dumps a process on a system whose files look like Android's.
func TestAndroidSystem(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "1")
	for _, c := range []struct {
		name             string
		files            map[string]string
		fingerprint, lsb string
	}{
		{"one file", map[string]string{"system/build.prop": olderProps, "etc/lsb-release": "DISTRIB_ID=No\n"},
			"maker/pro duct/device:10/QQ1A.200205.002/6084393:user/test-keys",
			"ro.build.fingerprint=maker/pro duct/device:10/QQ1A.200205.002/6084393:user/test-keys\nro.build.version.release=10\n" +
				"ro.build.version.sdk=29\nro.build.id=QQ1A.200205.002\nro.build.type=user\n" +
				"ro.build.display.id=QQ1A.200205.002 test-keys\nro.product.cpu.abi=arm64-v8a\n"},
		{"partitions", map[string]string{"system/build.prop": newerProps, "vendor/build.prop": vendorProps},
			"maker/product/device:14/UP1A.231005.007/10754064:userdebug/test-keys",
			"ro.system.build.fingerprint=maker/product/device:14/UP1A.231005.007/10754064:userdebug/test-keys\n" +
				"ro.build.version.release=14\nro.system.build.version.sdk=34\nro.build.version.security_patch=2023-10-05\n" +
				"ro.build.id=UP1A.231005.007\nro.product.vendor.manufacturer=maker\nro.product.vendor.model=Model 5\n"},
		{"not readable", map[string]string{"system/build.prop/x": ""}, "", ""}, // a folder in place of a file that root may not read
		{"not readable but vendor's", map[string]string{"system/build.prop/x": "", "vendor/build.prop": vendorProps},
			"maker/vendor/device:13/OLD/1:userdebug/test-keys",
			"ro.vendor.build.fingerprint=maker/vendor/device:13/OLD/1:userdebug/test-keys\nro.build.id=not the first\n" +
				"ro.product.vendor.manufacturer=maker\nro.product.vendor.model=Model 5\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			androidRoot(t, c.files)
			dmp, f, r := dumpFile(t, v.PID, Options{})
			info, csd, err := f.SystemInfo()
			if err != nil || info.PlatformID != stream.MD_OS_ANDROID {
				t.Errorf("platform %#x: %v", info.PlatformID, err)
			}
			if !strings.HasPrefix(csd, "Linux ") || !strings.HasSuffix(csd, " "+c.fingerprint) && c.fingerprint != "" {
				t.Errorf("CSD %q, want the fingerprint %q at its end", csd, c.fingerprint)
			}
			lsb, err := f.Stream(stream.LinuxLSBRelease)
			if string(lsb) != c.lsb || (err != nil) != (c.lsb == "") {
				t.Errorf("properties %q, want %q: %v", lsb, c.lsb, err)
			}
			soft := r.SoftErrors()
			if c.lsb != "" && len(soft) != 0 || c.lsb == "" && (len(soft) != 1 || !errors.Is(&soft[0], syscall.EISDIR)) {
				t.Errorf("soft errors %v", soft)
			}
			if os.Getenv("MINIDUMP_VICTIMS") != "" {
				return // a machine without other readers
			}
			if report := stackwalk(t, dmp); report.Status != "OK" || report.SystemInfo.OS != "Android" {
				t.Errorf("stackwalk: status %s, OS %q", report.Status, report.SystemInfo.OS)
			}
		})
	}
}

// TestAndroidKnownCalls checks that openat2, which would kill a program on Android, is not called there, and that
// build ids of files are read without it.
func TestAndroidKnownCalls(t *testing.T) {
	androidRoot(t, map[string]string{"system/build.prop": olderProps})
	dir := t.TempDir()
	lib := writeObject(t, dir, "lib.so", objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, stdelf.DT_HASH, "", 1})
	apk := filepath.Join(dir, "base.apk")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	offset := addAligned(t, &b, w, "lib/arm64-v8a/libentry.so", []byte(readText(t, lib)))
	w.Close()
	if err := os.WriteFile(apk, b.Bytes(), 0644); err != nil {
		t.Fatal(err)
	}
	v, at := linker(t, fmt.Sprintf("lib,%s,%d", apk, offset))
	var openat2, mapFiles int
	restore := sys.Install(func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		switch nr {
		case unix.SYS_OPENAT2:
			openat2++
		case unix.SYS_OPENAT:
			if strings.HasPrefix(pathAt(a2), "map_files/") { // as an application, without its capability
				mapFiles++
				return ^uintptr(0), unix.EPERM
			}
		}
		r, _, errno := syscall.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, errno
	}, nil)
	defer restore()
	f, _ := dump(t, v.PID, Options{})
	checkLibrary(t, f, at[0], apk+"/libentry.so", strings.Repeat("01", 20))
	if openat2 != 0 || mapFiles == 0 {
		t.Errorf("%d calls of openat2, %d openings of map_files", openat2, mapFiles)
	}
}

// TestAndroidNoAllocations checks that a dump allocates nothing even with the libraries whose names are hardest to
// find.
func TestAndroidNoAllocations(t *testing.T) {
	notElsewhere(t)
	dir := t.TempDir()
	packed := writeObject(t, dir, "packed.so", objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 7, dtAndroidRela, "libpacked.so", 1})
	apk := filepath.Join(dir, "base.apk")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	one := addAligned(t, &b, w, "lib/arm64-v8a/libone.so", smallObject(objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, stdelf.DT_HASH, "", 0}))
	two := addAligned(t, &b, w, "lib/arm64-v8a/libtwo.so", smallObject(objectSpec{stdelf.ELFCLASS64, stdelf.ET_DYN, 0, stdelf.DT_HASH, "", 2}))
	w.Close()
	if err := os.WriteFile(apk, b.Bytes(), 0644); err != nil {
		t.Fatal(err)
	}
	v, _ := linker(t, fmt.Sprintf("data,%s,0", apk), fmt.Sprintf("lib,%s,%d", apk, one), fmt.Sprintf("lib,%s,%d", apk, two),
		"code,jit-cache", "lib,"+packed+",0", "code,gap", "memfd,plain,"+packed)
	writer, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if n := testing.AllocsPerRun(50, func() {
		if _, err := writer.Dump(io.Discard); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f, _ := dumpWith(t, writer)
	for _, name := range []string{apk + "/libone.so", apk + "/libtwo.so", dir + "/libpacked.so", "/libpacked.so"} {
		if len(modulesNamed(t, f, name)) == 0 {
			t.Errorf("no module %s", name)
		}
	}
}
