package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// TestMounts crashes programs whose files only they can see: in their own mount namespace, as in a container, which is gone when run
// looks up the functions.
func TestMounts(t *testing.T) {
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	unshare := victims.Tool(t, "unshare")
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-Umr"
	}
	if out, err := exec.Command(unshare, flags, "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("can't mount in a mount namespace of its own: %v: %s", err, out)
	}
	program, static := victims.C(t, "crasher.c"), victims.C(t, "crasher.c", "-static")
	for _, c := range []struct{ name, program, script string }{
		{"mounted", program, `exec root/app null`},
		{"chroot", static, `exec chroot root /app null`},
		{"pivot_root", static, `cd root && mkdir old && pivot_root . old && exec /app null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(dir+"/root", 0o755); err != nil {
				t.Fatal(err)
			}
			script := `mount -t tmpfs none root && cp "$0" root/app && ` + c.script
			o := run(t, dir, "run", "--", unshare, flags, "sh", "-c", script, c.program)
			if o.want(t, 139, "wrote "); !strings.Contains(o.err, "app!level3 at crasher.c:") {
				t.Errorf("no names:\n%s", o.err)
			}
		})
	}
}
