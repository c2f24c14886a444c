//go:build linux

package main

// machine describes how qemu is started for one GOARCH.
type machine struct {
	qemu    string
	args    []string
	console string // the kernel's name of the first console
	serial  string // qemu's name of the virtio-serial controller
	mem     int    // megabytes
	smp     int    // processors
	append  string // more kernel arguments
}

var machines = map[string]machine{
	// pauth-impdef: the architected pointer authentication dominates the run time under emulation.
	"arm64": {qemu: "qemu-system-aarch64", args: []string{"-M", "virt", "-cpu", "max,pauth-impdef=on"},
		console: "ttyAMA0", serial: "virtio-serial-device", mem: 1024, smp: 2},
	"arm": {qemu: "qemu-system-arm", args: []string{"-M", "virt,highmem=off", "-cpu", "cortex-a15"},
		console: "ttyAMA0", serial: "virtio-serial-device", mem: 1024, smp: 2},
	"riscv64": {qemu: "qemu-system-riscv64", args: []string{"-M", "virt"},
		console: "ttyS0", serial: "virtio-serial-device", mem: 1024, smp: 2},
	// Without these settings qemu's emulation refuses to start or warns; x-vof saves the boot firmware.
	"ppc64le": {qemu: "qemu-system-ppc64", args: []string{
		"-M", "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
		"-cpu", "POWER9", "-vga", "none"},
		console: "hvc0", serial: "virtio-serial-pci", mem: 1024, smp: 2},
	"ppc64": {qemu: "qemu-system-ppc64", args: []string{
		"-M", "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
		"-cpu", "POWER9", "-vga", "none"},
		console: "hvc0", serial: "virtio-serial-pci", mem: 1024, smp: 2},
	"mips64le": {qemu: "qemu-system-mips64el", args: []string{"-M", "malta", "-cpu", "MIPS64R2-generic"},
		console: "ttyS0", serial: "virtio-serial-pci", mem: 1024, smp: 1},
	// All tests, 86 MB, do not fit into the tmpfs that these kernels use for the root. A ramfs has no limit.
	"mipsle": {qemu: "qemu-system-mipsel", args: []string{"-M", "malta", "-cpu", "24Kf"},
		console: "ttyS0", serial: "virtio-serial-pci", mem: 512, smp: 1, append: "rootfstype=ramfs"},
	"mips64": {qemu: "qemu-system-mips64", args: []string{"-M", "malta", "-cpu", "MIPS64R2-generic"},
		console: "ttyS0", serial: "virtio-serial-pci", mem: 1024, smp: 1},
	"mips": {qemu: "qemu-system-mips", args: []string{"-M", "malta", "-cpu", "24Kf"},
		console: "ttyS0", serial: "virtio-serial-pci", mem: 512, smp: 1, append: "rootfstype=ramfs"},
	"s390x": {qemu: "qemu-system-s390x", args: []string{"-M", "s390-ccw-virtio", "-cpu", "max"},
		console: "ttysclp0", serial: "virtio-serial-ccw", mem: 1024, smp: 2},
	// The probe for a missing keyboard hangs the boot.
	"loong64": {qemu: "qemu-system-loongarch64", args: []string{"-M", "virt", "-cpu", "la464"},
		console: "ttyS0", serial: "virtio-serial-pci", mem: 1024, smp: 1, append: "initcall_blacklist=i8042_init"},
}
