package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"minidump/internal/newfile"
)

// The kernel's settings (core(5)), and the files of --install.
const (
	corePattern   = "/proc/sys/kernel/core_pattern"
	corePipeLimit = "/proc/sys/kernel/core_pipe_limit"
	savedPattern  = "/var/lib/minidump/core_pattern.saved"
	coreConfig    = "/etc/minidump/core.conf"

	// maxPattern is CORENAME_MAX_SIZE of include/linux/binfmts.h without the NUL. The kernel silently cuts a longer
	// text.
	maxPattern = 127

	// ourPipeLimit is the maximum number of crashing processes that wait for this program at a time. If it is not 0, the
	// kernel keeps a process until the program that reads its core has ended.
	ourPipeLimit = "16"
)

// savedSetting is the contents of savedPattern, as JSON.
type savedSetting struct {
	Pattern   string `json:"core_pattern"`    // before
	PipeLimit string `json:"core_pipe_limit"` // before
	Installed string `json:"installed"`       // the core_pattern that --install wrote
}

// report prints the settings before and after --install. config is the text of coreConfig, "" if there is none.
func (saved *savedSetting) report(config string) {
	fmt.Fprintf(os.Stderr, "core_pattern is now %s\ncore_pipe_limit is now %s\n", saved.Installed, ourPipeLimit)
	if config != "" {
		fmt.Fprintf(os.Stderr, "more flags are in %s\n", coreConfig)
	}
	fmt.Fprintf(os.Stderr, "they were %q and %s; 'minidump core --uninstall' restores them (from %s)\n", saved.Pattern,
		saved.PipeLimit, savedPattern)
}

func readSetting(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSuffix(string(b), "\n"), err
}

// writeSetting writes a setting and checks that the kernel has stored all of it.
func writeSetting(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	b := []byte(text)
	if len(b) == 0 {
		b = []byte{'\n'}
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got, err := readSetting(path); err != nil || got != text {
		return fmt.Errorf("%s is %q after %q was written to it (%v)", path, got, text, err)
	}
	return nil
}

// needsRoot returns an error if an ordinary user wants to change the kernel's settings.
func needsRoot(flag string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("%s requires root: it sets %s", flag, corePattern)
}

func (c *coreFlags) installPattern() error {
	if err := needsRoot("--install"); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if why := sharedKernel(exe); why != "" && !c.force {
		return fmt.Errorf("not installed: %s; use --force to install anyway", why)
	}
	pattern, config, err := c.pattern(exe)
	if err != nil {
		return err
	}
	current, err := readSetting(corePattern)
	if err != nil {
		return err
	}
	limit, err := readSetting(corePipeLimit)
	if err != nil {
		return err
	}
	saved, err := readSaved()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	again := err == nil && saved.Installed == current
	if !again {
		saved = savedSetting{Pattern: current, PipeLimit: limit}
	}
	saved.Installed = pattern
	if config != "" {
		if err := writeWhole(coreConfig, []byte(config)); err != nil {
			return err
		}
	}
	// The old settings are saved to disk before they are changed.
	text, err := json.MarshalIndent(&saved, "", "  ")
	if err != nil {
		return err
	}
	if err := writeWhole(savedPattern, append(text, '\n')); err != nil {
		return err
	}
	if err := writeSetting(corePipeLimit, ourPipeLimit); err != nil {
		return err
	}
	if err := writeSetting(corePattern, pattern); err != nil {
		return errors.Join(err, writeSetting(corePattern, current), writeSetting(corePipeLimit, limit))
	}
	if again && pattern == current {
		fmt.Fprintf(os.Stderr, "core_pattern is already %s\n", pattern)
		return nil
	}
	saved.report(config)
	return nil
}

// pattern returns the core_pattern. If it would be too long, or a flag has a blank, where the kernel would split it, pattern
// also returns the text of a file with the flags.
func (c *coreFlags) pattern(exe string) (pattern, config string, err error) {
	output := c.output
	switch {
	case output == "":
		output = "/var/crash/"
	case output == "-":
		return "", "", errors.New("-o -: the kernel starts the program without a standard output")
	case !filepath.IsAbs(output):
		if output, err = filepath.Abs(output); err != nil {
			return "", "", err
		}
		if isFolder(c.output) {
			output += "/"
		}
	}
	dir, name := filepath.Split(output)
	if !strings.Contains(name, "%") { // a folder
		dir, name = joinFolder(output, ""), "%e-%P.dmp"
	}
	if c.keep.Count > 0 && !strings.HasSuffix(name, "-%P.dmp") && !strings.HasSuffix(name, ".%P.dmp") {
		return "", "", fmt.Errorf("--keep recognizes dumps by names that end with -%%P.dmp or .%%P.dmp, which %s does not", name)
	}
	if strings.Contains(dir, "%") {
		return "", "", fmt.Errorf("%s: a folder with %% in its name can't be used in core_pattern", dir)
	}
	if err := newfile.MakeFolder(dir, 0o755); err != nil {
		return "", "", err
	}
	words := []string{exe, "core", "--pid=%P", "--thread=%I"}
	for _, f := range c.given {
		words = append(words, strings.ReplaceAll(f, "%", "%%"))
	}
	words = append(words, "-o", dir+name, "-")
	pattern = "|" + strings.Join(words, " ")
	if len(pattern) <= maxPattern && len(strings.Fields(pattern)) == len(words) && !strings.Contains(exe, "%") {
		return pattern, "", nil
	}
	pattern = "|" + exe + " core --config=" + coreConfig + " --pid=%P --thread=%I -"
	if len(pattern) > maxPattern || len(strings.Fields(pattern)) != 6 || strings.Contains(exe, "%") {
		return "", "", fmt.Errorf("the path %s of this program is too long for core_pattern, or contains a space or a %%", exe)
	}
	config = "# Flags that the kernel starts minidump core with, one per line. Written by minidump core --install.\n"
	for _, f := range append(c.given, "--output="+dir) {
		if strings.ContainsAny(f, "\r\n") {
			return "", "", fmt.Errorf("%q contains a line break", f)
		}
		config += f + "\n"
	}
	return pattern, config, nil
}

func (c *coreFlags) uninstallPattern() error {
	if err := needsRoot("--uninstall"); err != nil {
		return err
	}
	saved, err := readSaved()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("not installed: there is no %s", savedPattern)
	}
	if err != nil {
		return err
	}
	current, err := readSetting(corePattern)
	if err != nil {
		return err
	}
	if current != saved.Installed && !c.force {
		return fmt.Errorf("left unchanged: core_pattern has since been changed to %q; --force sets it to %q", current, saved.Pattern)
	}
	if err := writeSetting(corePattern, saved.Pattern); err != nil {
		return err
	}
	if err := writeSetting(corePipeLimit, saved.PipeLimit); err != nil {
		return err
	}
	os.Remove(coreConfig)
	if err := os.Remove(savedPattern); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "core_pattern is %q again, core_pipe_limit %s\n", saved.Pattern, saved.PipeLimit)
	return nil
}

func readSaved() (s savedSetting, err error) {
	b, err := os.ReadFile(savedPattern)
	if err == nil {
		if err = json.Unmarshal(b, &s); err != nil {
			err = fmt.Errorf("%s: %w", savedPattern, err)
		}
	}
	return s, err
}

// writeWhole writes a file completely or not at all.
func writeWhole(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0755); err != nil {
		return err
	}
	f, err := newfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	err = f.Chmod(0644)
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Commit()
	}
	return err
}

// sharedKernel returns why this program must not set core_pattern, or "" if it may. A machine has only one core_pattern:
// the kernel starts the program in the initial namespaces, with a path relative to their root.
func sharedKernel(exe string) string {
	// The number of the initial pid namespace is fixed (PROC_PID_INIT_INO, 0xEFFFFFFC, in the kernel's proc_ns.h).
	const firstPIDs = "pid:[4026531836]"
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != firstPIDs {
		return "this is a container: its process ids are not those of the machine"
	}
	users, _ := os.ReadFile("/proc/self/uid_map")
	if f := strings.Fields(string(users)); len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295" {
		return "this is a container: its user ids are not those of the machine"
	}
	// Process 2 of the initial namespace is kthreadd, from which the programs that the kernel starts inherit their root.
	if name, _ := readSetting("/proc/2/comm"); name != "kthreadd" {
		return "" // a kernel without kthreadd; nothing more is known
	}
	ours, err := os.Stat(exe)
	theirs, err2 := os.Stat("/proc/2/root" + exe)
	if err == nil && (err2 != nil || !os.SameFile(ours, theirs)) {
		return "this is a container: the machine has no " + exe + ", or a different one"
	}
	return ""
}
