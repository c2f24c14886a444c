package main

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// platforms lists the supported platforms. For android the go command links only arm64 without cgo. For the other architectures
// it refuses to vet, or to build a program, so compileOnly lists them: only the library packages are compiled.
var (
	platforms = []string{
		"linux/amd64", "linux/arm64", "linux/386", "linux/arm", "linux/mips", "linux/mipsle", "linux/mips64", "linux/mips64le",
		"linux/ppc64", "linux/ppc64le", "linux/riscv64", "linux/s390x", "linux/loong64", "android/arm64",
		"windows/amd64", "windows/386", "windows/arm64", "darwin/amd64", "darwin/arm64",
	}
	compileOnly = []string{"android/amd64", "android/386", "android/arm"}
)

// The tools of the checks, built from source.
const (
	staticcheck  = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
	govulncheck  = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
	golangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"
)

// platformEnv returns the environment that makes the go command build for a platform.
func platformEnv(platform string) []string {
	goos, goarch, _ := strings.Cut(platform, "/")
	return []string{"GOOS=" + goos, "GOARCH=" + goarch}
}

func checkFormat(j *job) error {
	unformatted, err := j.output(nil, "gofmt", "-l", ".")
	if err == nil && unformatted != "" {
		j.command(nil, "gofmt", "-d", ".")
		err = fmt.Errorf("not formatted: %s", unformatted)
	}
	return err
}

// checkModule checks that the module requires only golang.org/x/sys and golang.org/x/arch, and no newer Go than the older of
// the two supported releases.
func checkModule(j *job) error {
	out, err := j.output(nil, "go", "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var mod struct {
		Go      string
		Require []struct{ Path string }
	}
	if err := json.Unmarshal([]byte(out), &mod); err != nil {
		return err
	}
	for _, r := range mod.Require {
		if r.Path != "golang.org/x/sys" && r.Path != "golang.org/x/arch" {
			return fmt.Errorf("go.mod requires %s", r.Path)
		}
	}
	if mod.Go != oldestGo && mod.Go != oldestGo+".0" {
		return fmt.Errorf("go.mod says go %s, not go %s.0", mod.Go, oldestGo)
	}
	return errors.Join(
		j.command(nil, "go", "mod", "verify"),
		j.command(nil, "go", "mod", "tidy", "-diff"))
}

// each calls do for all platforms, even after failures.
func (j *job) each(platforms []string, do func(platform string) error) error {
	var failed []string
	for _, p := range platforms {
		if err := do(p); err != nil {
			j.printf("FAILED %s: %v\n", p, err)
			failed = append(failed, p)
		}
	}
	j.note = fmt.Sprintf("%d platforms", len(platforms)-len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("failed for %s", strings.Join(failed, ", "))
	}
	return nil
}

func vet(platforms ...string) func(*job) error {
	return func(j *job) error {
		return j.each(platforms, func(p string) error { return j.command(platformEnv(p), "go", "vet", "./...") })
	}
}

func vetHost(j *job) error { return vet(runtime.GOOS + "/" + runtime.GOARCH)(j) }

// buildAll builds cmd/minidump for each platform as one file, without a dynamic loader on Linux.
func buildAll(j *job) error {
	out, err := j.output(nil, "go", "list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	if err != nil {
		return err
	}
	libraries := strings.Fields(out)
	return j.each(slices.Concat(platforms, compileOnly), func(p string) error {
		if slices.Contains(compileOnly, p) {
			return j.command(platformEnv(p), "go", append([]string{"build"}, libraries...)...)
		}
		program := filepath.Join(j.dir, "minidump")
		if err := j.command(platformEnv(p), "go", "build", "-o", program, "./cmd/minidump"); err != nil {
			return err
		}
		if strings.HasPrefix(p, "linux/") {
			return static(program)
		}
		return nil
	})
}

// static returns an error if an ELF program requires a dynamic loader.
func static(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader := make([]byte, min(p.Filesz, 256))
			p.ReadAt(loader, 0)
			return fmt.Errorf("%s is not static: it asks for %s", filepath.Base(program), strings.TrimRight(string(loader), "\x00"))
		}
	}
	return nil
}

// buildWithCgo checks that cgo, which is on by default if there is a C compiler, makes no difference: neither the
// importable packages nor the command contain or import a package that uses it.
func buildWithCgo(j *job) error {
	env := []string{"CGO_ENABLED=1"}
	all, err := j.output(env, "go", "list", "./...")
	if err != nil {
		return err
	}
	args := []string{"list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}"}
	for _, name := range strings.Fields(all) {
		if path := strings.TrimPrefix(name, j.module); !strings.HasPrefix(path, "/internal/") {
			args = append(args, name)
		}
	}
	if users, err := j.output(env, "go", args...); err != nil {
		return err
	} else if users != "" {
		return fmt.Errorf("imported packages that use cgo: %s", strings.Join(strings.Fields(users), ", "))
	}
	program := filepath.Join(j.dir, "minidump")
	if err := j.command(env, "go", "build", "-o", program, "./cmd/minidump"); err != nil {
		return err
	}
	return static(program)
}

// runStaticcheck runs staticcheck once for several platforms: code that only one of them uses is not unused.
func runStaticcheck(j *job) error {
	binary, err := j.binary(staticcheck)
	if err != nil {
		return err
	}
	var matrix strings.Builder
	for _, p := range []string{"linux/amd64", "linux/386", "linux/arm64", "linux/s390x", "windows/amd64", "darwin/arm64"} {
		fmt.Fprintf(&matrix, "%s: %s\n", strings.ReplaceAll(p, "/", "_"), strings.Join(platformEnv(p), " "))
	}
	cmd := command(j.ctx, nil, binary, "-matrix", "./...")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(matrix.String()), j.log, j.log
	return cmd.Run()
}

// runLint runs the linters of .golangci.yml for a platform of each system.
func runLint(j *job) error {
	binary, err := j.binary(golangciLint)
	if err != nil {
		return err
	}
	return j.each([]string{"linux/amd64", "windows/amd64", "darwin/arm64"}, func(p string) error {
		return j.command(platformEnv(p), binary, "run", "./...")
	})
}

var unreachable = regexp.MustCompile(`fetching vulnerabilities[^\n]*`)

// runGovulncheck queries the vulnerability database, an online service. If it can't be reached, the stage says so and counts as skipped.
func runGovulncheck(j *job) error {
	binary, err := j.binary(govulncheck)
	if err != nil {
		return err
	}
	out, err := command(j.ctx, nil, binary, "./...").CombinedOutput()
	j.log.Write(out)
	if m := unreachable.Find(out); err != nil && m != nil {
		j.tally.Skipped++
		j.note = "can't reach the database: " + string(m)
		return nil
	}
	return err
}

// exists reports whether there is a file or folder at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
