package victims

import (
	"os"
	"runtime"
	"testing"
)

// Emulated reports whether this is an emulated machine, see SkipEmulated.
func Emulated() bool { return os.Getenv("MINIDUMP_EMULATED") != "" }

// SkipEmulated skips a test in an emulated machine, for a reason such as a race against a deadline, which an emulated
// machine loses. The environment variable MINIDUMP_EMULATED marks such a machine (see internal/vm), which has a real kernel
// of its architecture. Every test runs there unless it calls this function.
func SkipEmulated(t testing.TB, reason string) {
	t.Helper()
	if Emulated() {
		t.Skipf("not in an emulated machine: %s", reason)
	}
}

// SkipCross skips a test that compiles Go code for another platform, except in CI (see .ci/run): the standard library must
// then also be compiled for that platform, which takes longer than all other tests of a package.
func SkipCross(t testing.TB, goos, goarch string) {
	t.Helper()
	if (goos != runtime.GOOS || goarch != runtime.GOARCH) && os.Getenv("CI") != "true" {
		t.Skipf("it compiles for %s/%s: set CI=true to run it", goos, goarch)
	}
}
