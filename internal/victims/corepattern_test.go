//go:build linux

package victims

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const childHolds = "MINIDUMP_TEST_HOLDS_CORE_PATTERN"

// TestCorePatternChild is the process that TestCorePatternRestored kills.
func TestCorePatternChild(t *testing.T) {
	how := os.Getenv(childHolds)
	if how == "" {
		t.Skip("only as a child of TestCorePatternRestored")
	}
	CorePattern(t, false)
	SetCorePattern(t, "changed-by-a-test")
	os.WriteFile(CorePipeLimitFile, []byte("7\n"), 0)
	os.Stdout.WriteString("\nchanged\n")
	switch how {
	case "panic":
		panic("on purpose")
	case "fail":
		t.Fatal("on purpose")
	}
	time.Sleep(time.Minute)
}

// The settings are restored however a test that has changed them ends.
func TestCorePatternRestored(t *testing.T) {
	CorePattern(t, false)() // may this test change it at all?
	before := coreSettings(t)
	for _, how := range []string{"kill", "panic", "fail"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe", "-test.run=^TestCorePatternChild$")
			cmd.Env = append(os.Environ(), childHolds+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			changed := false
			for !changed && lines.Scan() {
				changed = strings.TrimSpace(lines.Text()) == "changed"
			}
			if !changed {
				t.Fatal("the child has changed nothing")
			}
			if how == "kill" {
				cmd.Process.Kill()
			}
			for lines.Scan() {
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the child has ended well")
			}
			release := CorePattern(t, false) // waits until they are restored
			if after := coreSettings(t); after != before {
				t.Errorf("the settings are %q, before they were %q", after, before)
			}
			release()
		})
	}
}
