//go:build linux

package victims

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ToolFolders lists the folders where .ci/run installs readers of dumps.
func ToolFolders() []string {
	home, _ := os.UserHomeDir()
	return []string{
		filepath.Join(home, ".cache/minidump-ci/cargo/bin"),
		filepath.Join(home, ".cache/minidump-ci/venv/bin"),
		filepath.Join(home, ".cargo/bin"),
	}
}

// Tool finds a program of another project. If it is missing, the test is skipped, or fails if CI=true. It never fails in a
// virtual machine, which contains only what was built for it beforehand.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range ToolFolders() {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" && prebuilt == "" {
		t.Fatalf("%s is missing, and CI=true", name)
	}
	t.Skipf("%s is missing", name)
	return ""
}

// Output runs a tool, for at most a minute, and returns what it printed.
func Output(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s\n%s", name, args, err, out, &stderr)
	}
	return string(out)
}
