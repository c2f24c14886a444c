package victims

import (
	"os"
	"runtime"
	"testing"
)

// SkipEmulated skips a test in an emulated machine, for a reason such as that it races a deadline, which an emulated
// machine on a busy one loses. The environment variable MINIDUMP_EMULATED marks such a machine (see internal/vm). What runs
// there runs on a kernel of every architecture; every test does unless it calls this.
func SkipEmulated(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("MINIDUMP_EMULATED") != "" {
		t.Skipf("not in an emulated machine: %s", reason)
	}
}

// SkipCross skips a test that compiles Go code for another platform, except in CI (see .ci/run): the standard library is then
// compiled for that platform too, which takes longer than all other tests of a package.
func SkipCross(t testing.TB, goos, goarch string) {
	t.Helper()
	if (goos != runtime.GOOS || goarch != runtime.GOARCH) && os.Getenv("CI") != "true" {
		t.Skipf("it compiles for %s/%s: set CI=true to run it", goos, goarch)
	}
}
