package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// machine is an emulated machine that runs a real kernel of an architecture; see internal/vm.
type machine struct {
	arch   string // GOARCH
	narrow string // the 32-bit architecture that its kernel also runs
	all    bool   // it also runs the tests of portable packages
	tries  int    // how often a failing test is tried, if not twice
}

// On loong64, qemu 10.0 reads the flag of a floating-point comparison (bceqz, bcnez) without the trap by which the kernel
// restores a process's floating-point state, so the flag can be another process's. Because of this about one start of a Go
// program in 400 ends in "float64nan1", in tests as well as victims. On the emulated 24Kf of mipsle and mips a thread is
// sometimes not woken until it gets a signal: once a sleep of 50 ms took more than four minutes. Further tries are for these two
// faults.
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

// notForGuests holds for packages whose tests do not run on a kernel of each architecture: tools of this machine, and
// the command, whose code does not depend on the architecture.
var notForGuests = below("cmd", "packaging", "internal/bench", "internal/gate", "internal/vm", "internal/wine", "internal/macos",
	"internal/errtext", "internal/scratch")

// portable holds for packages that read and write formats and files: for them processors differ only in byte order and
// word size, and 32-bit code is tested on this machine.
var portable = below("context", "elf", "mach", "macho", "pe", "stackwalk", "stream", "symbol", "internal/corefile", "internal/darwin",
	"internal/backtrace", "internal/encode", "internal/snapshot", "internal/windows", "internal/dumpfile", "internal/newfile", "internal/sys/hang",
	"internal/victims", "server")

func setUpMachines(j *job) error {
	var args []string
	for _, m := range machines {
		args = append(args, m.arch)
	}
	return j.command(nil, "internal/vm/setup", args...)
}

// newGuest returns a guest with what every machine receives. A guest has no compiler, so it receives victims that are
// already built. CI is not set in it, because what requires one of this machine's tools is tested here.
// MINIDUMP_EMULATED makes victims.SkipEmulated skip.
func (j *job) newGuest(arch string) (*guest, error) {
	g := &guest{env: []string{"MINIDUMP_EMULATED=1"}}
	if err := j.addVictims(g, arch, "victims", "MINIDUMP_VICTIMS"); err != nil {
		return nil, err
	}
	g.add("data/aar", j.archiveDir(), "MINIDUMP_AARS")
	return g, nil
}

// addVictims builds the victims for an architecture and copies them into a folder of the guest.
func (j *job) addVictims(g *guest, arch, folder, variable string) error {
	dir := filepath.Join(j.dir, folder)
	g.add("data/"+folder, dir, variable)
	return j.command(nil, "go", "run", "./internal/victims/build", arch, dir)
}

// test runs the tests on a real kernel of the machine's architecture. Tests that are not suited to it skip
// by victims.SkipEmulated. The dumps that the guest writes are read again on this machine.
func (m machine) test(j *job) error {
	g, err := j.newGuest(m.arch)
	if err != nil {
		return err
	}
	if m.narrow != "" { // victims of the 32-bit architecture
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

// testWithTries runs tests in a machine, and those that failed again in new machines, up to tries times in all.
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

// testAndroid runs the writer built for android/arm64 on a Linux kernel of that architecture: because it needs no
// Android library, glibc's loader can start it in place of Android's.
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
