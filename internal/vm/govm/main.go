//go:build linux

// Govm runs a static Linux binary of another architecture on a real kernel of that architecture, under qemu-system.
//
//	govm ARCH BINARY [ARG...]
//
// ARCH is a GOARCH for which internal/vm/setup was run. The binary's output and exit status are passed on, so govm
// serves as go test's -exec. If the binary's name ends in ".test" and the working folder contains a folder testdata,
// that folder is copied into the guest as well. The guest's root is in memory and starts empty each time.
//
//	GOVM_HOME     the output of setup (default ~/.cache/govm)
//	GOVM_FILES    host files and folders to put in the guest: SRC (becomes /data/BASENAME) or DST=SRC
//	GOVM_OUT      host folder that receives what the binary left in the guest's /out
//	GOVM_ENV      K=V K=V ... for the binary, separated by white space; it inherits nothing else
//	GOVM_CWD      the binary's working folder in the guest (default /data)
//	GOVM_UID      run the binary as this user id (default 0)
//	GOVM_TIMEOUT  seconds (default 600)
//	GOVM_MEM      megabytes
//	GOVM_SMP      processors
//	GOVM_QEMU     more arguments for qemu
//	GOVM_APPEND   more arguments for the kernel
//	GOVM_CONSOLE  host file that receives the kernel's console
//	GOVM_VERBOSE  if set: console, command line and times on standard error
//
// Exit status: the binary's; 128+N if signal N killed it; 124 if the time ran out; 125 if the machine failed; 126 if
// the guest could not start the binary.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minidump/internal/vm"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: govm ARCH BINARY [ARG...]")
		os.Exit(vm.ExitVMFailed)
	}
	status, err := run(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "govm:", err)
		status = vm.ExitVMFailed
	}
	os.Exit(status)
}

var verbose = os.Getenv("GOVM_VERBOSE") != ""

func run(arch, binary string, args []string) (status int, err error) {
	m, ok := machines[arch]
	if !ok {
		return 0, fmt.Errorf("unknown architecture %q", arch)
	}
	home := os.Getenv("GOVM_HOME")
	if home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return 0, err
		}
		home = filepath.Join(cache, "govm")
	}
	kernelDir := filepath.Join(home, "kernels", arch)
	if !exists(filepath.Join(kernelDir, "VERSION")) {
		return 0, fmt.Errorf("no kernel in %s: run internal/vm/setup %s", kernelDir, arch)
	}
	tmp, err := os.MkdirTemp("", "govm-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tmp)
	if err := writeInitramfs(filepath.Join(tmp, "initrd"), kernelDir, binary, args); err != nil {
		return 0, err
	}
	g := &guest{consoleLog: filepath.Join(tmp, "console"), tarFile: filepath.Join(tmp, "out.tar")}
	status, err = g.run(m, kernelDir, tmp)
	if err != nil {
		return 0, err
	}
	console, _ := os.ReadFile(g.consoleLog)
	if path := os.Getenv("GOVM_CONSOLE"); path != "" {
		os.WriteFile(path, console, 0644)
	}
	if verbose || status == vm.ExitTimeout || status == noReport {
		os.Stderr.Write(console)
		os.Stderr.Write(g.qemuOutput.Bytes())
	}
	if status == noReport {
		return 0, errors.New("the machine ended without a report")
	}
	if out := os.Getenv("GOVM_OUT"); out != "" && status != vm.ExitTimeout {
		if err := untar(g.tarFile, out); err != nil {
			return 0, fmt.Errorf("unpacking /out: %w", err)
		}
	}
	return status, nil
}

// writeInitramfs writes the guest's root: init, modules, the binary, the requested files, the configuration.
func writeInitramfs(path, kernelDir, binary string, args []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c := newCPIO(f)
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "data", "out", "etc", "modules"} {
		c.mkdir(dir)
	}
	// The kernel opens /dev/console for init's descriptors 0 to 2 before anything is mounted there.
	c.device("dev/console", 0600, 5, 1)
	c.device("dev/null", 0666, 1, 3)
	c.file("etc/passwd", 0644, []byte("root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n"))
	c.file("etc/group", 0644, []byte("root:x:0:\nuser:x:1000:\n"))
	c.file("etc/os-release", 0644, []byte("NAME=govm\nID=govm\n"))
	c.file("etc/hosts", 0644, []byte("127.0.0.1 localhost govm\n"))
	if err := c.tree("init", filepath.Join(kernelDir, "init")); err != nil {
		return err
	}
	if err := c.tree("modules", filepath.Join(kernelDir, "modules")); err != nil {
		return err
	}
	image, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	guestBinary := "/data/" + filepath.Base(binary)
	c.file(guestBinary[1:], 0755, image)
	files := strings.Fields(os.Getenv("GOVM_FILES"))
	if strings.HasSuffix(binary, ".test") && exists("testdata") {
		files = append(files, "testdata")
	}
	for _, file := range files {
		dst, src, ok := strings.Cut(file, "=")
		if !ok {
			dst, src = "data/"+filepath.Base(file), file
		}
		if err := c.tree(strings.TrimPrefix(dst, "/"), src); err != nil {
			return err
		}
	}
	config := vm.Config{
		Argv: append([]string{guestBinary}, args...),
		Env: append([]string{"PATH=/data:/bin:/usr/bin", "HOME=/tmp", "TMPDIR=/tmp", "TERM=dumb"},
			strings.Fields(os.Getenv("GOVM_ENV"))...),
		Dir: "/data",
		UID: number("GOVM_UID", 0),
		Now: time.Now().Unix(),
	}
	if dir := os.Getenv("GOVM_CWD"); dir != "" {
		config.Dir = dir
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		return err
	}
	c.file(vm.ConfigFile, 0644, encoded)
	return c.close()
}

// noReport is the status of a guest that ended (or whose kernel panicked) without reporting how the binary ended.
const noReport = -1

type guest struct {
	consoleLog string // file
	tarFile    string // file
	qemuOutput bytes.Buffer
}

// run starts qemu and returns when the binary in the guest has ended, the guest is gone, or the time is up.
func (g *guest) run(m machine, kernelDir, tmp string) (status int, err error) {
	stdout, stdoutW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	stderr, stderrW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	reportsR, reportsW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(m.qemu, qemuArgs(m, kernelDir, tmp, g.consoleLog, [][2]string{
		{vm.PortStdout, "/dev/fd/3"}, {vm.PortStderr, "/dev/fd/4"}, {vm.PortReport, "/dev/fd/5"}, {vm.PortOutput, g.tarFile},
	})...)
	if qemu := filepath.Join(kernelDir, "qemu"); exists(qemu) {
		cmd = exec.Command(qemu, cmd.Args[1:]...)
	}
	cmd.Stdout, cmd.Stderr = &g.qemuOutput, &g.qemuOutput
	cmd.ExtraFiles = []*os.File{stdoutW, stderrW, reportsW}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started qemu ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if verbose {
		fmt.Fprintln(os.Stderr, "govm:", strings.Join(cmd.Args, " "))
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}
	copied := make(chan bool, 2)
	go func() { io.Copy(os.Stdout, stdout); copied <- true }()
	go func() { io.Copy(os.Stderr, stderr); copied <- true }()

	status = g.wait(reportsR, started)
	// All output was in the pipes before the report: there is no need to wait for the guest to power off.
	cmd.Process.Kill()
	cmd.Wait()
	<-copied
	<-copied
	if verbose {
		fmt.Fprintf(os.Stderr, "govm: total %.2fs\n", time.Since(started).Seconds())
	}
	return status, nil
}

// wait reads the guest's reports.
func (g *guest) wait(r io.Reader, started time.Time) int {
	reports := make(chan vm.Report, 4)
	go func() {
		defer close(reports)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			var report vm.Report
			if json.Unmarshal(lines.Bytes(), &report) == nil {
				reports <- report
			}
		}
	}()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	seconds := number("GOVM_TIMEOUT", 600)
	deadline := time.After(time.Duration(seconds) * time.Second)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case report, open := <-reports:
			switch {
			case !open:
				return noReport
			case report.Event == vm.EventStart && verbose:
				fmt.Fprintf(os.Stderr, "govm: up in %.2fs (guest: %.2fs): %s\n",
					time.Since(started).Seconds(), report.Uptime, report.Kernel)
			case report.Event == vm.EventExit:
				if report.Msg != "" {
					fmt.Fprintln(os.Stderr, "govm:", report.Msg)
				}
				return report.Exit
			}
		case s := <-signals:
			return vm.ExitSignal + int(s.(syscall.Signal))
		case <-tick.C: // some machines can't restart, and hang after a panic
			console, _ := os.ReadFile(g.consoleLog)
			if bytes.Contains(console, []byte("Kernel panic - not syncing")) {
				return noReport
			}
		case <-deadline:
			fmt.Fprintf(os.Stderr, "govm: not done after %d s\n", seconds)
			return vm.ExitTimeout
		}
	}
}

// qemuArgs builds qemu's command line. ports are pairs of a virtio-serial port's name and its host file.
func qemuArgs(m machine, kernelDir, tmp, consoleLog string, ports [][2]string) []string {
	kernelArgs := "console=" + m.console + " panic=-1 " + m.append + " " + os.Getenv("GOVM_APPEND")
	if !verbose {
		kernelArgs += " quiet"
	}
	args := append([]string{}, m.args...)
	args = append(args, "-nodefaults", "-display", "none", "-no-reboot", "-monitor", "none",
		"-m", fmt.Sprintf("%dM", number("GOVM_MEM", m.mem)), "-smp", strconv.Itoa(number("GOVM_SMP", m.smp)),
		"-kernel", filepath.Join(kernelDir, "vmlinuz"), "-initrd", filepath.Join(tmp, "initrd"), "-append", kernelArgs,
		"-chardev", "file,id=console,path="+consoleLog)
	if firmware := filepath.Join(kernelDir, "bios"); exists(firmware) {
		args = append(args, "-bios", firmware)
	}
	if m.console == "ttysclp0" {
		args = append(args, "-device", "sclpconsole,chardev=console")
	} else {
		args = append(args, "-serial", "chardev:console")
	}
	args = append(args, "-device", m.serial+",max_ports=8")
	for i, port := range ports {
		args = append(args, "-chardev", fmt.Sprintf("file,id=port%d,path=%s", i, port[1]),
			"-device", fmt.Sprintf("virtserialport,chardev=port%d,name=%s", i, port[0]))
	}
	return append(args, strings.Fields(os.Getenv("GOVM_QEMU"))...)
}

// number returns the value of an environment variable, or standard if it is unset or not a number.
func number(name string, standard int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return standard
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }
