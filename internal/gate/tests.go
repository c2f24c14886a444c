package main

import (
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// oldestGo is the language version of the module, and the older of the two supported releases of Go. The tests also run
// with the latest patch release of each.
const oldestGo = "1.26"

var releases = []string{"go1.26.11", "go1.27.4"}

// testUnit runs the README's test command, one package at a time, because several packages measure time or make the kernel write
// cores.
func testUnit(j *job) error { return j.test(nil, "-p", "1", "-timeout", "20m", "./...") }

// otherReleases lists the supported releases of Go except this machine's: at least one.
func otherReleases() []string {
	return slices.DeleteFunc(slices.Clone(releases), func(r string) bool {
		minor := r[:strings.LastIndexByte(r, '.')]
		return runtime.Version() == minor || strings.HasPrefix(runtime.Version(), minor+".")
	})
}

// testReleases runs the tests of testUnit with the supported releases of Go except this machine's.
func testReleases(j *job) error {
	others := otherReleases()
	j.note = strings.Join(others, ", ")
	var errs []error
	for _, r := range others {
		errs = append(errs, j.test([]string{"GOTOOLCHAIN=" + r}, "-p", "1", "-timeout", "20m", "./..."))
	}
	return errors.Join(errs...)
}

// goroutineReleases lists the releases of Go for whose programs we must find exactly the goroutines that their own runtime prints:
// the supported ones, and the release before them, which can no longer build the module.
func goroutineReleases() []string { return append([]string{"go1.25.14"}, releases...) }

// testGoroutines builds a program with each of these releases, static, as PIE and with cgo, stripped and not, and compares
// its goroutines with the runtime's traceback.
func testGoroutines(j *job) error {
	list := strings.Join(goroutineReleases(), ",")
	j.note = list
	return j.test([]string{"GORUNTIME_MATRIX=" + list}, "-timeout", "20m", "-run", "^TestTraceback$", "./internal/goruntime")
}

// testRace runs the purely computational packages under the race detector, which requires cgo.
func testRace(j *job) error {
	return j.test([]string{"CGO_ENABLED=1"}, "-race", "-timeout", "10m", "./stream", "./context", "./elf")
}

// test386 runs the tests as 386 programs, which an amd64 kernel runs directly.
func test386(j *job) error {
	env := []string{"GOARCH=386"}
	packages, err := j.packages(env, func(path string) bool { return notForGuests(path) && path != "cmd/minidump" })
	if err != nil {
		return err
	}
	return j.test(env, append([]string{"-timeout", "10m", "-p", "1", "-run", "^Test"}, packages...)...)
}

// notElsewhere selects the packages that are about the machine that runs the gate, and so are not tested as programs of other systems.
var notElsewhere = below("internal/bench", "internal/gate", "internal/vm", "internal/wine", "internal/victims", "packaging")

// testWine runs the tests that are not about Linux as Windows programs, and dumps programs that crash under Wine.
func testWine(j *job) error {
	env := []string{"WINEPREFIX=" + filepath.Join(j.cache, "wine"), "WINEDEBUG=-all", "DISPLAY=", "WINEDLLOVERRIDES=winedbg.exe=d"}
	if err := j.command(env, "internal/wine/setup"); err != nil {
		return err
	}
	defer j.command(env, "wineserver", "-k")
	end, err := j.startWine(env, "wine")
	if err != nil {
		return err
	}
	defer end()
	dlv, err := j.binary(delve)
	if err != nil {
		return err
	}
	if err := j.test(append(slices.Clone(env), "MINIDUMP_DLV="+dlv), "-timeout", "10m", "-run", "^TestWine", "."); err != nil {
		return err
	}
	env = append(env, platformEnv("windows/amd64")...)
	packages, err := j.packages(env, notElsewhere)
	if err != nil {
		return err
	}
	env = append(env, "CI=") // a Windows program can't use the tools of this machine
	return j.test(env, append([]string{"-timeout", "10m", "-exec", "wine"}, packages...)...)
}

// startWine starts Wine's services, until end is called. They run as long as any program does, and keep the standard output of the
// program open that started them: if a test started them, its output would never end. So a shell starts them, and waits for
// input.
func (j *job) startWine(env []string, wine string) (end func(), err error) {
	shell := command(j.ctx, env, wine, "cmd")
	in, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return func() {
		in.Close()
		shell.Wait()
	}, nil
}

// testWine386 runs the tests that depend on the system as 386 programs, in a Wine that runs 386 and amd64 programs, and amd64 programs
// that dump 386 ones.
func testWine386(j *job) error {
	wine, err := filepath.Abs("internal/wine/wine32")
	if err != nil {
		return err
	}
	prefix := filepath.Join(j.cache, "wine32")
	env := []string{"WINEPREFIX=" + prefix, "WINEDEBUG=-all", "DISPLAY=", "WINEDLLOVERRIDES=winedbg.exe=d"}
	if err := j.command(env, "internal/wine/setup32"); err != nil {
		return err
	}
	defer j.command(env, wine, "wineboot", "--kill")
	end, err := j.startWine(env, wine)
	if err != nil {
		return err
	}
	defer end()
	if err := j.test(append(slices.Clone(env), "MINIDUMP_WINE32="+wine), "-timeout", "10m", "-run", "^TestWine386$", "."); err != nil {
		return err
	}
	// A Windows program can't use the tools of this machine.
	narrow := append(slices.Clone(env), append(platformEnv("windows/386"), "CI=")...)
	if err := j.test(narrow, "-timeout", "10m", "-exec", wine, ".", "./internal/windows/...", "./crash", "./server", "./process"); err != nil {
		return err
	}
	target := filepath.Join(prefix, "target.exe")
	if err := j.command(narrow, "go", "test", "-c", "-o", target, "./internal/windows"); err != nil {
		return err
	}
	wide := append(slices.Clone(env), append(platformEnv("windows/amd64"), "CI=", "MINIDUMP_386=Z:"+strings.ReplaceAll(target, "/", `\`))...)
	return j.test(wide, "-timeout", "10m", "-exec", wine, "-run", "^TestWow64$", "./internal/windows")
}

// testWineARM64 runs the tests that depend on the system or the processor as arm64 programs, in a Wine that a user-mode emulator runs.
func testWineARM64(j *job) error {
	wine, err := filepath.Abs("internal/wine/winearm64")
	if err != nil {
		return err
	}
	env := []string{"WINEPREFIX=" + filepath.Join(j.cache, "wine-arm64"), "WINEDEBUG=-all", "DISPLAY=", "WINEDLLOVERRIDES=winedbg.exe=d"}
	if err := j.command(env, "internal/wine/setuparm64"); err != nil {
		return err
	}
	defer j.command(env, wine, "wineboot", "--kill")
	end, err := j.startWine(env, wine)
	if err != nil {
		return err
	}
	defer end()
	// A Windows program can't use the tools of this machine.
	env = append(env, append(platformEnv("windows/arm64"), "CI=")...)
	return j.test(env, "-short", "-timeout", "10m", "-exec", wine, "-run", "^Test",
		".", "./internal/windows/...", "./crash", "./server", "./process", "./stackwalk", "./context/...", "./pe", "./stream", "./symbol/...",
		"./internal/newfile", "./internal/dumpfile")
}

// testDarwin runs the tests that are not about Linux as darwin/amd64 programs, in a loader on this machine, not on macOS. The tests
// that depend on the processor also run as darwin/arm64 programs, in an emulator.
func testDarwin(j *job) error {
	loader := filepath.Join(j.cache, "macos", "machorun")
	env := []string{"MACHORUN=" + loader}
	if err := j.command(env, "internal/macos/setup"); err != nil {
		return err
	}
	amd64 := append(slices.Clone(env), platformEnv("darwin/amd64")...)
	packages, err := j.packages(amd64, notElsewhere)
	if err != nil {
		return err
	}
	arm64 := append(slices.Clone(env), platformEnv("darwin/arm64")...)
	return errors.Join(
		j.test(amd64, append([]string{"-timeout", "10m", "-exec", loader}, packages...)...),
		j.test(arm64, "-p", "1", "-timeout", "10m", "-exec", loader+"-arm64", "-run", "^Test",
			".", "./mach", "./crash", "./internal/darwin", "./internal/macos/loadertest"))
}
