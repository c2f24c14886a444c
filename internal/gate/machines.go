package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// machine is an emulated machine with a real kernel of an architecture; see internal/vm.
type machine struct {
	arch   string // GOARCH
	narrow string // the 32-bit architecture that its kernel runs besides
	all    bool   // it runs the tests of portable packages too
	tries  int    // how often a test that fails is tried, if not twice
}

// On loong64 qemu 10.0 reads the flag of a floating-point comparison (bceqz, bcnez) without the trap by which the kernel
// gives a process its floating-point state back, so it can be another process's. About one start of a Go program in 400
// ends in "float64nan1" for it, whether test or victim. The emulated 24Kf of mipsle and mips sometimes stands still: once a
// sleep of 50 ms lasted more than four minutes. Both are what further tries are for.
var machines = []machine{
	{arch: "arm64", narrow: "arm"},
	{arch: "arm"},
	{arch: "riscv64"},
	{arch: "ppc64le"},
	{arch: "ppc64", narrow: "ppc"},
	{arch: "mips64le", narrow: "mipsle"},
	{arch: "mipsle"},
	{arch: "mips64", narrow: "mips"},
	{arch: "mips"},
	{arch: "s390x", all: true}, // for its byte order
	{arch: "loong64", tries: 3},
}

// notForGuests are the packages whose tests do not run on a kernel of each architecture: tools of this machine, and the
// command, whose code does not depend on it.
var notForGuests = below("cmd", "packaging", "internal/bench", "internal/gate", "internal/vm", "internal/wine", "internal/macos",
	"internal/errtext", "internal/scratch")

// portable are packages that read and write formats and files: the processor makes no difference to them, except for its
// byte order and the size of its words, and 32-bit code is tested on this machine.
var portable = below("context", "elf", "mach", "macho", "pe", "stream", "internal/corefile", "internal/darwin",
	"internal/encode", "internal/snapshot", "internal/windows", "internal/dumpfile", "internal/newfile", "internal/sys/hang",
	"internal/victims", "server", "symbol")

func setUpMachines(j *job) error {
	var args []string
	for _, m := range machines {
		args = append(args, m.arch)
	}
	return j.command(nil, "internal/vm/setup", args...)
}

// newGuest has what every machine gets. A guest has no compiler: it gets the victims ready made. CI is not set in it,
// because what needs one of this machine's tools is tested here. MINIDUMP_EMULATED makes victims.SkipEmulated skip.
func (j *job) newGuest(arch string) (*guest, error) {
	g := &guest{env: []string{"MINIDUMP_EMULATED=1"}}
	if err := j.addVictims(g, arch, "victims", "MINIDUMP_VICTIMS"); err != nil {
		return nil, err
	}
	g.add("data/aar", j.archiveDir(), "MINIDUMP_AARS")
	return g, nil
}

// addVictims builds the victims for an architecture and puts them into a folder of the guest.
func (j *job) addVictims(g *guest, arch, folder, variable string) error {
	dir := filepath.Join(j.dir, folder)
	g.add("data/"+folder, dir, variable)
	return j.command(nil, "go", "run", "./internal/victims/build", arch, dir)
}

// test runs the tests on a real kernel of the machine's architecture; what is not fit for it says so by
// victims.SkipEmulated. The dumps that the guest leaves are read again on this machine.
func (m machine) test(j *job) error {
	g, err := j.newGuest(m.arch)
	if err != nil {
		return err
	}
	if m.narrow != "" { // the victims of the 32-bit architecture
		if err := j.addVictims(g, m.narrow, "narrow", "MINIDUMP_VICTIMS_NARROW"); err != nil {
			return err
		}
	}
	dumps := filepath.Join(j.dir, "dumps")
	if err := os.Mkdir(dumps, 0o755); err != nil {
		return err
	}
	g.env = append(g.env, "MINIDUMP_DUMPS=/out")
	env := platformEnv("linux/" + m.arch)
	packages, err := j.packages(env, func(path string) bool { return notForGuests(path) || !m.all && portable(path) })
	if err != nil {
		return err
	}
	tests := guestTests{guest: *g, arch: m.arch, platform: "linux/" + m.arch, packages: packages, out: dumps}
	return errors.Join(j.testWithTries(tests, max(2, m.tries)), j.test(nil, "./internal/vm/archtest", "-args", "-dumps", dumps))
}

// testWithTries runs tests in a machine, and what failed again in new ones, up to tries times in all.
func (j *job) testWithTries(g guestTests, tries int) error {
	g.pattern = anyTest
	results, err := j.testInGuest(g)
	t := &tally{}
	for _, p := range slices.Sorted(maps.Keys(results)) {
		t.add(results[p])
	}
	t.repeat(tries, func(packages []string, pattern string) map[string]*tally {
		g.packages, g.pattern = packages, pattern
		results, err = j.testInGuest(g)
		return results
	})
	j.tally.add(t)
	return err
}

// testAndroid runs the writer built for android/arm64 on a Linux kernel of that architecture: as it needs no library of
// Android, glibc's loader starts it in the place of Android's.
func testAndroid(j *job) error {
	g, err := j.newGuest("arm64")
	if err != nil {
		return err
	}
	properties := filepath.Join(j.dir, "build.prop")
	text := "ro.build.fingerprint=none/none/none:0/NONE/0:eng/test-keys\n"
	if err := os.WriteFile(properties, []byte(text), 0o644); err != nil {
		return err
	}
	g.add("system/build.prop", properties, "")
	g.add("system/bin/linker64", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", "")
	return j.testWithTries(guestTests{guest: *g, arch: "arm64", platform: "android/arm64", packages: []string{".", "./run"}}, 2)
}
