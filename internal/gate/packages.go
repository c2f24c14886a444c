package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// nfpm builds the packages; packaging/build uses the same version.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"

// installed lists files that every package must have and that no other package of the system has.
var installed = strings.Fields(`usr/bin/minidump usr/share/man/man1/minidump.1.gz usr/share/man/man1/minidump-core.1.gz
	usr/share/bash-completion/completions/minidump usr/share/fish/vendor_completions.d/minidump.fish
	usr/lib/systemd/system/minidump-core.service usr/lib/systemd/system/minidump-serve.service
	usr/lib/systemd/system/minidump-serve.socket usr/lib/tmpfiles.d/minidump.conf usr/lib/minidump/core-socket
	etc/default/minidump usr/share/doc/minidump/copyright`)

// testPackages builds everything in packaging and tries each part of it, as far as that is possible without a cluster.
func testPackages(j *job) error {
	maker, err := j.binary(nfpm)
	if err != nil {
		return err
	}
	p := &packageTrial{job: j, out: filepath.Join(j.dir, "packages"), root: filepath.Join(j.dir, "root")}
	if err := j.command([]string{"NFPM=" + maker}, "packaging/build", p.out, runtime.GOARCH); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"deb", p.deb}, {"rpm", p.rpm}, {"apk", p.apk}, {"install", p.install}, {"units", p.units},
		{"core-socket", p.coreSocket}, {"remove", p.remove}, {"systemd", p.systemd}, {"image", p.image}, {"node", p.node}, {"kubernetes", p.kubernetes},
		{"release", p.release}, {"other module", p.otherModule}, {"module path", p.modulePath},
	} {
		j.printf("--- %s\n", c.name)
		started := time.Now()
		if err := c.run(); err != nil {
			j.tally.Failed++
			j.tally.Failures = append(j.tally.Failures, failure{Package: "packages", Test: c.name, Output: err.Error()})
			j.printf("FAILED %v\n", err)
		} else {
			j.tally.Passed++
		}
		j.printf("--- %s took %v\n", c.name, time.Since(started))
	}
	return nil
}

// packageTrial is the state shared by the parts of the stage.
type packageTrial struct {
	*job
	out  string // folder of the packages
	root string // a root directory with little more than a shell, where the deb is installed
}

// file returns the only package of a kind.
func (p *packageTrial) file(pattern string) (string, error) {
	found, err := filepath.Glob(filepath.Join(p.out, pattern))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d files %s, not one", len(found), pattern)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// holds runs a shell command that lists the files of the package $1, and compares the list with installed.
func (p *packageTrial) holds(pattern, list string) error {
	file, err := p.file(pattern)
	if err != nil {
		return err
	}
	out, err := p.output(nil, "sh", "-c", list, "sh", file)
	if err != nil {
		return err
	}
	var have []string
	for name := range strings.FieldsSeq(out) {
		have = append(have, strings.TrimLeft(name, "./"))
	}
	var missing []string
	for _, name := range installed {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s lacks %s", filepath.Base(file), strings.Join(missing, ", "))
	}
	return nil
}

func (p *packageTrial) deb() error {
	return p.holds("*.deb", `dpkg-deb --info "$1" >&2 && dpkg-deb --contents "$1" | awk '{ print $6 }'`)
}

func (p *packageTrial) rpm() error { return p.holds("*.rpm", `rpm2cpio "$1" | cpio -t --quiet`) }

// apk checks the apk: three gzip streams of tar; the first two have no end mark.
func (p *packageTrial) apk() error {
	return p.holds("*.apk", `zcat "$1" | tar --ignore-zeros -t 2>/dev/null`)
}

// install installs the deb in a separate root directory, including its scripts, and runs the program there.
func (p *packageTrial) install() error {
	for _, dir := range []string{"bin", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		if err := os.MkdirAll(filepath.Join(p.root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(p.root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		return err
	}
	busybox := filepath.Join(p.root, "bin", "busybox")
	if err := p.command(nil, "cp", "/bin/busybox", busybox); err != nil {
		return err
	}
	if err := p.command(nil, "chroot", p.root, "/bin/busybox", "--install", "-s", "/bin"); err != nil {
		return err
	}
	deb, err := p.file("*.deb")
	if err != nil {
		return err
	}
	if err := p.command(nil, "dpkg", "--root="+p.root, "--install", deb); err != nil {
		return err
	}
	return p.command(nil, "chroot", p.root, "/usr/bin/minidump", "version")
}

// units makes systemd read the installed units.
func (p *packageTrial) units() error {
	for _, unit := range []string{"sysinit.target", "basic.target", "shutdown.target", "multi-user.target", "sockets.target",
		"local-fs.target", "systemd-sysctl.service"} {
		at := filepath.Join("usr/lib/systemd/system", unit)
		if err := p.command(nil, "cp", "-L", "/"+at, filepath.Join(p.root, at)); err != nil {
			return err
		}
	}
	var all []string
	for _, unit := range []string{"minidump-core.service", "minidump-serve.service", "minidump-serve.socket"} {
		all = append(all, filepath.Join("/usr/lib/systemd/system", unit))
	}
	out, err := command(p.ctx, nil, "systemd-analyze", append([]string{"verify", "--root=" + p.root, "--man=no"}, all...)...).CombinedOutput()
	p.printf("%s\n", out)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "minidump-") {
			err = errors.Join(err, errors.New(strings.TrimSpace(line)))
		}
	}
	if err != nil {
		return err
	}
	return p.command(nil, "systemd-analyze", "security", "--offline=yes", "--threshold=40", "--root="+p.root, "minidump-serve.service")
}

// coreSocket runs the script that sets core_pattern for the socket, on a file instead of core_pattern.
func (p *packageTrial) coreSocket() error {
	text, err := os.ReadFile("packaging/systemd/core-socket")
	if err != nil {
		return err
	}
	script := filepath.Join(p.dir, "core-socket")
	replaced := strings.NewReplacer("/proc/sys/kernel/core_pattern", p.dir+"/core_pattern",
		"/var/lib/minidump/core_pattern.socket", p.dir+"/saved").Replace(string(text))
	if err := os.WriteFile(script, []byte(replaced), 0o755); err != nil {
		return err
	}
	return p.command(nil, "sh", "-ec", `
		cd "$1"
		is() { [ "$(cat core_pattern)" = "$1" ] || { echo "core_pattern is $(cat core_pattern), not $1"; exit 1; }; }
		echo '|/other %p' > core_pattern
		./core-socket restore; is '|/other %p'
		./core-socket set /run/minidump/coredump.sock; is @@/run/minidump/coredump.sock
		./core-socket set /run/minidump/coredump.sock; is @@/run/minidump/coredump.sock
		./core-socket restore; is '|/other %p'
		./core-socket set /run/minidump/coredump.sock
		echo core > core_pattern
		./core-socket restore; is core
		[ ! -e saved ]`, "sh", p.dir)
}

// remove removes the deb and its settings.
func (p *packageTrial) remove() error {
	if err := p.command(nil, "dpkg", "--root="+p.root, "--purge", "minidump"); err != nil {
		return err
	}
	for _, name := range append(slices.Clone(installed), "var/lib/minidump") {
		if exists(filepath.Join(p.root, name)) {
			return fmt.Errorf("%s is left", name)
		}
	}
	return nil
}

// systemd checks that both services catch a crash under a real systemd, and removes the package.
func (p *packageTrial) systemd() error {
	deb, err := p.file("*.deb")
	if err != nil {
		return err
	}
	return p.command(nil, "packaging/systemd/trial", deb)
}

// image builds the container image and runs its program.
func (p *packageTrial) image() error {
	context := filepath.Join(p.dir, "context")
	if err := os.MkdirAll(context, 0o755); err != nil {
		return err
	}
	if err := p.command(nil, "go", "build", "-o", filepath.Join(context, "minidump"), "./cmd/minidump"); err != nil {
		return err
	}
	storage := []string{"--storage-driver", "vfs", "--root", filepath.Join(p.dir, "images"), "--runroot", filepath.Join(p.dir, "containers")}
	buildah := func(args ...string) error {
		return p.command(nil, "buildah", append(slices.Clone(storage), args...)...)
	}
	if err := buildah("build", "--isolation", "chroot", "-f", "packaging/container/Dockerfile", "-t", "minidump", context); err != nil {
		return err
	}
	if err := buildah("from", "--name", "trial", "minidump"); err != nil {
		return err
	}
	return buildah("run", "--isolation", "chroot", "trial", "--", "/minidump", "version")
}

// node runs the script of the DaemonSet on this machine, with stand-ins for minidump and nsenter: the first records how it is
// called, the second stays in this mount namespace.
func (p *packageTrial) node() error {
	return p.command(nil, "sh", "-ec", `
		dir=$1
		printf '#!/bin/sh\necho "$@" >> %s/calls\n' "$dir" > "$dir/stand-in"
		mkdir "$dir/bin"
		printf '#!/bin/sh\nshift 4\nexec "$@"\n' > "$dir/bin/nsenter"
		chmod +x "$dir/bin/nsenter"
		PATH=$dir/bin:$PATH NODE_ROOT= SOURCE=$dir/stand-in PROGRAM=$dir/opt/minidump DUMPS=$dir/dumps FLAGS='--limit=2M --omit=environ' packaging/container/node &
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			[ -e "$dir/calls" ] && break
			sleep 0.5
		done
		kill $!
		wait $!
		printf 'core --install -o %s/dumps --limit=2M --omit=environ\ncore --uninstall\n' "$dir" | diff - "$dir/calls"`, "sh", p.dir)
}

// kubernetes checks the manifests against the types of Kubernetes. The JSON schemas that kubeconform needs are not in a registry.
func (p *packageTrial) kubernetes() error {
	return p.command(nil, "go", "-C", "packaging/kubernetes/check", "run", ".", "../daemonset.yaml", "../pod.yaml")
}

// release builds a release for two platforms.
func (p *packageTrial) release() error {
	dir := filepath.Join(p.dir, "release")
	err := p.command([]string{"PLATFORMS=linux/" + runtime.GOARCH + " windows/amd64", "VERSION=1.2.3",
		"NFPM=" + filepath.Join(p.cache, "bin", "nfpm@v2.45.2")}, "packaging/release", dir)
	if err != nil {
		return err
	}
	if err := p.command(nil, "sh", "-ec", `cd "$1"; sha256sum --check --strict SHA256SUMS; [ $(wc -l < SHA256SUMS) -ge 3 ]`, "sh", dir); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "minidump-1.2.3.cdx.json"))
	if err != nil {
		return err
	}
	var bom struct{ Components []struct{ PURL string } }
	if err := json.Unmarshal(text, &bom); err != nil {
		return err
	}
	for _, c := range bom.Components {
		if strings.HasPrefix(c.PURL, "pkg:golang/golang.org/x/sys@") {
			return nil
		}
	}
	return errors.New("the SBOM lacks golang.org/x/sys")
}

// otherModule uses the library from another module, as described in the README.
func (p *packageTrial) otherModule() error {
	dir := filepath.Join(p.dir, "other")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	const program = `package main

import (
	"fmt"

	"minidump"
)

func main() { fmt.Println(minidump.Options{}) }
`
	source := strings.ReplaceAll(program, `"minidump"`, `"`+p.module+`"`)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"mod", "init", "example.com/other"}, {"mod", "edit", "-require=" + p.module + "@v0.0.0", "-replace=" + p.module + "=" + here},
		{"mod", "tidy"}, {"run", "."}} {
		if err := p.command(nil, "go", append([]string{"-C", dir}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// modulePath renames the module in a copy, which must then build.
func (p *packageTrial) modulePath() error {
	dir := filepath.Join(p.dir, "renamed")
	if err := p.command(nil, "git", "clone", "--quiet", ".", dir); err != nil {
		return err
	}
	if err := p.command(nil, filepath.Join(dir, ".ci/module-path"), "example.com/renamed/minidump"); err != nil {
		return err
	}
	return p.command(nil, "go", "-C", dir, "build", "./...")
}
