//go:build linux

// Guestinit is /init of the virtual machine: it mounts the usual file systems, loads the virtio modules, finds the
// virtio-serial ports by name, runs the binary, reports how it ended and powers off.
package main

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"minidump/internal/vm"
)

func main() {
	coverRoot()
	mountAll()
	loadModules()
	loopbackUp()
	syscall.Sethostname([]byte("govm"))

	config, err := readConfig()
	if err != nil {
		log("%s: %v", vm.ConfigFile, err)
		powerOff()
	}
	setClock(config.Now)
	reports := openPort(vm.PortReport)
	if reports == nil {
		log("no virtio-serial port %s", vm.PortReport)
		powerOff()
	}
	say := func(r vm.Report) {
		line, _ := json.Marshal(r)
		reports.Write(append(line, '\n'))
	}
	stdout, stderr, output := openPort(vm.PortStdout), openPort(vm.PortStderr), openPort(vm.PortOutput)
	if stdout == nil || stderr == nil || output == nil {
		say(vm.Report{Event: vm.EventExit, Exit: vm.ExitVMFailed, Msg: "a virtio-serial port is missing"})
		powerOff()
	}
	say(vm.Report{Event: vm.EventStart, Kernel: readLine("/proc/version"), Uptime: uptime()})
	r := run(config, stdout, stderr)
	if err := sendTar(output, "/out"); err != nil {
		r.Msg = "sending /out: " + err.Error()
	}
	say(r)
	powerOff()
}

func log(format string, a ...any) { fmt.Fprintf(os.Stderr, "guestinit: "+format+"\n", a...) }

// coverRoot mounts the root over itself. pivot_root(2) refuses a root that is the initramfs itself, so no container could be created in it.
func coverRoot() {
	os.Mkdir("/root", 0700)
	err := syscall.Mount("/", "/root", "", syscall.MS_BIND, "")
	if err == nil {
		err = os.Chdir("/root")
	}
	if err == nil {
		err = syscall.Mount(".", "/", "", syscall.MS_MOVE, "")
	}
	if err == nil {
		err = syscall.Chroot(".")
	}
	if err == nil {
		err = os.Chdir("/")
	}
	if err != nil {
		log("covering the root: %v", err)
	}
}

func mountAll() {
	for _, m := range []struct{ source, target, options string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", ""},
		{"tmpfs", "/dev/shm", ""},
		{"tmpfs", "/tmp", "mode=1777"},
	} {
		os.MkdirAll(m.target, 0755)
		if err := syscall.Mount(m.source, m.target, m.source, 0, m.options); err != nil && err != syscall.EBUSY {
			log("mount %s: %v", m.target, err)
		}
	}
	os.MkdirAll("/out", 0777)
	os.Chmod("/out", 0777)
}

// loadModules loads /modules/*.ko in the order of their names, which setup numbers by dependency.
func loadModules() {
	names, _ := filepath.Glob("/modules/*.ko")
	sort.Strings(names)
	noParameters := new([1]byte)
	for _, name := range names {
		image, err := os.ReadFile(name)
		if err != nil {
			log("%v", err)
			continue
		}
		_, _, errno := syscall.Syscall(syscall.SYS_INIT_MODULE, uintptr(unsafe.Pointer(&image[0])),
			uintptr(len(image)), uintptr(unsafe.Pointer(noParameters)))
		if errno != 0 && errno != syscall.EEXIST {
			log("init_module %s: %v", name, errno)
		}
	}
}

// loopbackUp sets the flags of lo. Layout of struct ifreq: netdevice(7).
func loopbackUp() {
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return
	}
	defer syscall.Close(s)
	ifreq := new([40]byte)
	copy(ifreq[:], "lo")
	*(*uint16)(unsafe.Pointer(&ifreq[16])) = syscall.IFF_UP | syscall.IFF_RUNNING
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(ifreq)))
}

func readConfig() (vm.Config, error) {
	var config vm.Config
	b, err := os.ReadFile("/" + vm.ConfigFile)
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	return config, err
}

// setClock sets the clock if it is far behind the host's: some of the machines have none and start in 1970.
func setClock(now int64) {
	if time.Now().Unix() < now-3600 {
		tv := syscall.NsecToTimeval(now * 1e9)
		syscall.Settimeofday(&tv)
	}
}

// openPort opens the virtio-serial port called name, waiting up to 10 seconds for it to appear.
func openPort(name string) *os.File {
	for range 1000 {
		files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, file := range files {
			if readLine(file) != name {
				continue
			}
			// O_SYNC: a write returns when the host has the bytes, so powering off loses none.
			f, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(file)), os.O_RDWR|syscall.O_SYNC, 0)
			if err == nil {
				return f
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func readLine(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

func uptime() float64 {
	var seconds float64
	fmt.Sscan(readLine("/proc/uptime"), &seconds)
	return seconds
}

// run starts the binary, copies its output to the ports and reaps every process until the binary has ended.
func run(config vm.Config, stdout, stderr *os.File) vm.Report {
	outR, outW, _ := os.Pipe()
	errR, errW, _ := os.Pipe()
	null, _ := os.Open("/dev/null")
	attr := &syscall.ProcAttr{
		Dir:   config.Dir,
		Env:   config.Env,
		Files: []uintptr{null.Fd(), outW.Fd(), errW.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	if config.UID != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: uint32(config.UID), Gid: uint32(config.UID)}
	}
	pid, err := syscall.ForkExec(config.Argv[0], config.Argv, attr)
	outW.Close()
	errW.Close()
	if err != nil {
		return vm.Report{Event: vm.EventExit, Exit: vm.ExitExecFailed, Msg: "exec " + config.Argv[0] + ": " + err.Error()}
	}
	copied := make(chan bool, 2)
	forward := func(w, r *os.File) {
		// Plain Writer and Reader: splice does not work on these ports.
		io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{r})
		copied <- true
	}
	go forward(stdout, outR)
	go forward(stderr, errR)

	status := reap(pid)
	// A process that the binary left behind may hold the pipes open for ever.
	deadline := time.After(3 * time.Second)
	for range 2 {
		select {
		case <-copied:
		case <-deadline:
		}
	}
	r := vm.Report{Event: vm.EventExit, Exit: status.ExitStatus()}
	if status.Signaled() {
		r.Exit = vm.ExitSignal + int(status.Signal())
	}
	return r
}

// reap waits for all processes, as process 1 must, until pid has ended.
func reap(pid int) syscall.WaitStatus {
	for {
		var status syscall.WaitStatus
		p, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || p == pid {
			return status
		}
	}
}

// sendTar writes the folders, regular files and symbolic links below root as a tar archive.
func sendTar(w io.Writer, root string) error {
	buffered := bufio.NewWriterSize(w, 32<<10)
	archive := tar.NewWriter(buffered)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return addToTar(archive, root, path, d)
	})
	if err == nil {
		err = archive.Close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	return err
}

func addToTar(archive *tar.Writer, root, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		link, _ = os.Readlink(path)
	case !info.Mode().IsRegular() && !info.IsDir():
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, _ = filepath.Rel(root, path)
	if err := archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(archive, f, header.Size)
	return err
}

func powerOff() {
	time.Sleep(50 * time.Millisecond) // for the console
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART) // if the machine can't power off
	select {}
}
