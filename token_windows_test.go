package minidump

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/windows"

	"minidump/stream"
)

// TestTokens checks that a dump has the access tokens if they are requested: those of another process, and those of this process and
// of a thread that impersonates.
func TestTokens(t *testing.T) {
	var own windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_QUERY, &own); err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	user, err := own.GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := own.GetTokenGroups()
	if err != nil {
		t.Fatal(err)
	}
	v := startTarget(t, 2)
	check := func(f *stream.File, pid int) {
		t.Helper()
		tokens, err := f.Tokens()
		if err != nil || len(tokens) == 0 || tokens[0].TokenID != uint32(pid) || tokens[0].Details == nil {
			t.Fatalf("%+v %v", tokens, err)
		}
		d := tokens[0].Details
		if d.User.SID != user.User.Sid.String() || len(d.Groups) != int(groups.GroupCount) || len(d.Privileges) == 0 || d.PrimaryGroup == "" {
			t.Errorf("%+v", d)
		}
		for i, g := range groups.AllGroups() {
			if i < len(d.Groups) && d.Groups[i] != (stream.TokenSID{SID: g.Sid.String(), Attributes: g.Attributes}) {
				t.Errorf("group %d: %+v, not %s %#x", i, d.Groups[i], g.Sid, g.Attributes)
			}
		}
	}
	f, _ := dumpWindows(t, v.pid, Options{Tokens: true})
	check(f, v.pid)
	if f, _ = dumpWindows(t, v.pid, Options{}); f != nil {
		if _, err := f.Tokens(); err == nil {
			t.Error("tokens that nobody asked for")
		}
	}
	// A thread with a token of its own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	impersonate, revert := windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateSelf"), windows.NewLazySystemDLL("advapi32.dll").NewProc("RevertToSelf")
	const securityImpersonation = 2
	if ok, _, err := impersonate.Call(securityImpersonation); ok == 0 {
		t.Fatal(err)
	}
	defer revert.Call()
	self, _ := dumpWindows(t, os.Getpid(), Options{Tokens: true})
	check(self, os.Getpid())
	tokens, err := self.Tokens()
	if err != nil || len(tokens) != 2 || tokens[1].TokenID != windows.GetCurrentThreadId() || tokens[1].Details == nil || !tokens[1].Details.Impersonation {
		t.Errorf("%+v %v", tokens, err)
	}
}
