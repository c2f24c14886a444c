package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Versions of programs of other projects, with which tests read dumps.
const (
	stackwalk    = "0.27.0" // minidump-stackwalk, of crates.io
	dumpSyms     = "2.3.9"  // dump_syms, of crates.io
	delve        = "github.com/go-delve/delve/cmd/dlv@v1.27.2"
	pipMinidump  = "0.0.24" // minidump, of PyPI
	mavenGetting = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
)

// archives lists libraries of Android applications, as GROUP:NAME:VERSION in Maven Central; android_linux_test.go has their digests.
var archives = []string{
	"net.java.dev.jna:jna:5.14.0", "org.conscrypt:conscrypt-android:2.5.2", "com.github.luben:zstd-jni:1.5.5-11",
}

// debianPackages lists the Debian 12 packages that tests and stages need, including those of internal/vm/setup: only one
// program can install packages at a time.
var debianPackages = strings.Fields(`wine wine64 maven gcc g++ dwz libc6-dev gdb strace lldb clang lld llvm chromium musl-tools python3 python3-venv util-linux
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
	gcc-i686-linux-gnu libc6-dev-i386-cross gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross
	gcc-mips64el-linux-gnuabi64 libc6-dev-mips64el-cross gcc-mipsel-linux-gnu libc6-dev-mipsel-cross
	gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross gcc-powerpc-linux-gnu libc6-dev-powerpc-cross
	gcc-mips64-linux-gnuabi64 libc6-dev-mips64-cross gcc-12-multilib-mips64-linux-gnuabi64
	gcc-mips-linux-gnu libc6-dev-mips-cross
	gcc-riscv64-linux-gnu libc6-dev-riscv64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
	gcc-mingw-w64-x86-64 gcc-mingw-w64-i686 qemu-user-static btrfs-progs bash-completion zsh fish man-db mandoc
	qemu-system-arm qemu-system-misc qemu-system-ppc qemu-system-mips xz-utils zstd make flex bison bc rpm2cpio cpio busybox-static buildah systemd`)

// wheels lists PyPI packages for systems other than Linux, whose libraries the tests of macho and pe read: for each folder
// of the cache, a platform as pip names it, and the packages.
var wheels = []struct {
	folder, platform string
	packages         []string
}{
	{"macho", "macosx_11_0_arm64", []string{"markupsafe==3.0.2", "psutil==6.1.0", "pillow==11.0.0"}},
	{"macho", "macosx_10_13_universal2", []string{"markupsafe==3.0.2"}},
	{"macho", "macosx_10_13_x86_64", []string{"pillow==11.0.0"}},
	{"wheels", "win_amd64", []string{"markupsafe==3.0.3", "pywin32==311"}},
	{"wheels", "win_arm64", []string{"markupsafe==3.0.3", "pywin32==311"}},
	{"wheels", "win32", []string{"markupsafe==3.0.3", "pywin32==311"}},
}

// versions lists commands that fail if a tool is missing.
var versions = [][]string{
	{"go", "version"}, {"gcc", "--version"}, {"gdb", "--version"}, {"lldb", "--version"}, {"strace", "--version"},
	{"minidump-stackwalk", "--version"}, {"dump_syms", "--version"},
}

func installTools(j *job) error {
	for _, install := range []func(*job) error{installCargo, installPip, installWheels, installArchives} {
		if err := install(j); err != nil {
			return err
		}
	}
	for _, v := range versions {
		if err := j.command(nil, v[0], v[1:]...); err != nil {
			return err
		}
	}
	gcc, err := j.output(nil, "gcc", "-dumpfullversion")
	j.note = fmt.Sprintf("%s, gcc %s, stackwalk %s", runtime.Version(), gcc, stackwalk)
	return err
}

// Another program, such as the machine's automatic updates, can hold the lock of the package lists. apt-get waits for the
// lock of the packages, but not for that lock.
const (
	listTries = 20
	listPause = 15 * time.Second
)

// installDebian installs the packages that are missing.
func installDebian(j *job) error {
	installed, err := j.output(nil, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for line := range strings.Lines(installed) {
		if status, name, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			have[name] = true
		}
	}
	var missing []string
	for _, name := range debianPackages {
		if !have[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for try := 1; ; try++ {
		err := j.command(nil, "apt-get", "-qq", "update")
		if err == nil {
			break
		}
		if try == listTries || j.ctx.Err() != nil {
			return err
		}
		time.Sleep(listPause)
	}
	return j.command([]string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get", append([]string{
		"-qq", "-o", "DPkg::Lock::Timeout=600", "install", "-y", "--no-install-recommends"}, missing...)...)
}

// installCargo installs programs from source. They are compiled without optimisation and share compiled dependencies: the tests do not
// need their speed, and compiling takes more than half of the time of this stage.
func installCargo(j *job) error {
	root := filepath.Join(j.cache, "cargo")
	built := filepath.Join(root, "target")
	defer os.RemoveAll(built)
	install := func(args ...string) error {
		env := []string{"CARGO_TARGET_DIR=" + built, "CARGO_PROFILE_RELEASE_OPT_LEVEL=0", "CARGO_PROFILE_RELEASE_LTO=off",
			"CARGO_PROFILE_RELEASE_DEBUG=0", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16"}
		return j.command(env, "cargo", append([]string{"install", "--quiet", "--locked", "--root", root}, args...)...)
	}
	for _, t := range [][2]string{{"minidump-stackwalk", stackwalk}, {"dump_syms", dumpSyms}} {
		program := filepath.Join(root, "bin", t[0])
		if out, err := command(j.ctx, nil, program, "--version").Output(); err == nil && strings.HasSuffix(strings.TrimSpace(string(out)), " "+t[1]) {
			continue
		}
		if err := install(t[0] + "@" + t[1]); err != nil {
			return err
		}
	}
	// Clients of the crate minidumper, for package server.
	for _, version := range []string{"0.10", "0.11"} {
		program := "minidumper-client-" + strings.ReplaceAll(version, ".", "-")
		if _, err := os.Stat(filepath.Join(root, "bin", program)); err == nil {
			continue
		}
		if err := install("--path", filepath.Join("server", "testdata", "minidumper-"+version)); err != nil {
			return err
		}
	}
	return nil
}

func installPip(j *job) error {
	venv := filepath.Join(j.cache, "venv")
	check := fmt.Sprintf("import importlib.metadata as m; assert m.version('minidump') == '%s'", pipMinidump)
	if command(j.ctx, nil, filepath.Join(venv, "bin", "python3"), "-c", check).Run() == nil {
		return nil
	}
	if err := os.RemoveAll(venv); err != nil {
		return err
	}
	if err := j.command(nil, "python3", "-m", "venv", venv); err != nil {
		return err
	}
	return j.command(nil, filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check",
		"minidump=="+pipMinidump)
}

// installWheels downloads the wheels of each platform, unless they are in the cache.
func installWheels(j *job) error {
	for _, w := range wheels {
		dir := filepath.Join(j.cache, w.folder)
		done := filepath.Join(dir, w.platform+"."+strings.Join(w.packages, "."))
		if exists(done) {
			continue
		}
		args := []string{"download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
			"--python-version", "3.12", "--platform", w.platform, "-d", dir}
		if err := j.command(nil, filepath.Join(j.cache, "venv", "bin", "pip"), append(args, w.packages...)...); err != nil {
			return err
		}
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// archiveDir returns the folder of the archives.
func (g *gate) archiveDir() string { return filepath.Join(g.cache, "aar") }

func installArchives(j *job) error {
	for _, archive := range archives {
		_, file, _ := strings.Cut(archive, ":")
		if exists(filepath.Join(j.archiveDir(), strings.ReplaceAll(file, ":", "-")+".aar")) {
			continue
		}
		err := j.command(nil, "mvn", "-q", "-B", mavenGetting, "-Dartifact="+archive+":aar", "-DoutputDirectory="+j.archiveDir())
		if err != nil {
			return err
		}
	}
	return nil
}
