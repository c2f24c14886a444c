package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The environment of somebody who just cloned the project: an ordinary user, or root in a container with few programs.
// Both run the README's go test ./..., without CI and with the go command's default for cgo.
var newcomerEnv = []string{"CI=", "CGO_ENABLED=", "GOFLAGS="}

const ordinaryUser = "minidump-gate"

// testNewcomer runs the tests as an ordinary user with no programs except Go, git and Debian's essential packages. The release of Go
// is a supported one other than this machine's, which the go command downloads.
func testNewcomer(j *job) error {
	fields, err := j.ordinaryEntry()
	if err != nil {
		return err
	}
	bin := filepath.Join(fields[5], "bin")
	if err := os.RemoveAll(bin); err != nil {
		return err
	}
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := j.linkEssential(bin); err != nil {
		return err
	}
	release := otherReleases()[0]
	err = j.testUserWith(bin, "GOTOOLCHAIN="+release)
	j.note = strings.TrimSuffix(release+", "+j.note, ", ")
	return err
}

// testUser runs the tests as an ordinary user of this machine, with all its tools.
func testUser(j *job) error {
	return j.testUserWith("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
}

// ordinaryEntry is the ordinary user's line of /etc/passwd, see passwd(5).
func (j *job) ordinaryEntry() ([]string, error) {
	entry, err := j.output(nil, "getent", "passwd", ordinaryUser)
	if err != nil {
		if err := j.command(nil, "useradd", "--create-home", "--shell", "/bin/sh", ordinaryUser); err != nil {
			return nil, err
		}
		if entry, err = j.output(nil, "getent", "passwd", ordinaryUser); err != nil {
			return nil, err
		}
	}
	fields := strings.Split(entry, ":")
	if len(fields) != 7 {
		return nil, fmt.Errorf("getent passwd printed %q", entry)
	}
	return fields, nil
}

// testUserWith runs the tests as an ordinary user, in a copy of the source tree, with Go and the programs in path.
func (j *job) testUserWith(path string, env ...string) error {
	fields, err := j.ordinaryEntry()
	if err != nil {
		return err
	}
	uid, gid, home := fields[2], fields[3], fields[5]
	tree := filepath.Join(home, "src")
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	if err := os.CopyFS(tree, os.DirFS(".")); err != nil {
		return err
	}
	if err := j.command(nil, "chown", "-R", uid+":"+gid, tree); err != nil {
		return err
	}
	goroot, err := j.output(nil, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	wrapper := []string{"/usr/bin/setpriv", "--reuid=" + uid, "--regid=" + gid, "--clear-groups", "/usr/bin/env", "--chdir=" + tree}
	env = append(slices.Concat(newcomerEnv, env), "HOME="+home, "USER="+ordinaryUser, "LOGNAME="+ordinaryUser,
		"GOCACHE=", "GOMODCACHE=", "GOPATH=", "PATH="+goroot+"/bin:"+path)
	return j.newcomer(wrapper, env)
}

// testBare runs the tests as root with no programs except Go, git and Debian's essential packages.
func testBare(j *job) error {
	bin := filepath.Join(j.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := j.linkEssential(bin); err != nil {
		return err
	}
	settings, err := j.output(nil, "go", "env", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPATH")
	if err != nil {
		return err
	}
	s := strings.Split(settings, "\n")
	if len(s) != 4 {
		return fmt.Errorf("go env printed %q", settings)
	}
	home := filepath.Join(j.dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	return j.newcomer(nil, append(newcomerEnv, "HOME="+home, "PATH="+s[0]+"/bin:"+bin,
		"GOCACHE="+s[1], "GOMODCACHE="+s[2], "GOPATH="+s[3]))
}

func (j *job) newcomer(wrapper, env []string) error {
	err := j.testAs(wrapper, env, "-timeout", "10m", "./...")
	skips := j.tally.skips()
	j.printf("%s", skips)
	if n := strings.Count(skips, "\n") - 1; n > 0 {
		j.note = fmt.Sprintf("%d tools missing", n)
	}
	return err
}

var inBin = regexp.MustCompile(`^(/usr)?/s?bin/[^/]+$`)

// linkEssential fills a folder with links to the programs of git and of Debian's essential packages.
func (j *job) linkEssential(folder string) error {
	list, err := j.output(nil, "dpkg-query", "-W", "-f", "${Essential} ${Priority} ${Package}\n")
	if err != nil {
		return err
	}
	packages := []string{"-L", "git"}
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "yes" || f[1] == "required") {
			packages = append(packages, f[2])
		}
	}
	files, err := j.output(nil, "dpkg", packages...)
	if err != nil {
		return err
	}
	for file := range strings.Lines(files) {
		file = strings.TrimSpace(file)
		if !inBin.MatchString(file) {
			continue
		}
		err := os.Symlink(file, filepath.Join(folder, filepath.Base(file)))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, program := range []string{"sh", "git", "cat"} {
		if _, err := exec.LookPath(filepath.Join(folder, program)); err != nil {
			return err
		}
	}
	return nil
}
