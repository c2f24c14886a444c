package darwin

import "minidump/mach"

// read fills f from sysctl. Values that the machine does not have stay 0.
func (f *facts) read() {
	*f = facts{}
	f.cpus = uint32(sysctl("hw.ncpu"))
	f.frequency = sysctl("hw.cpufrequency")
	f.maximum = sysctl("hw.cpufrequency_max")
	f.family = uint32(sysctl("machdep.cpu.family"))
	f.model = uint32(sysctl("machdep.cpu.model"))
	f.stepping = uint32(sysctl("machdep.cpu.stepping"))
	f.signature = uint32(sysctl("machdep.cpu.signature"))
	f.features = sysctl("machdep.cpu.feature_bits")
	f.extended = sysctl("machdep.cpu.extfeature_bits")
	f.cpuFamily = uint32(sysctl("hw.cpufamily"))
	text("machdep.cpu.vendor", f.vendor[:])
	f.productLen = text("kern.osproductversion", f.product[:])
	f.buildLen = text("kern.osversion", f.build[:])
}

// sysctl returns an integer of 4 or 8 bytes, or 0 if it does not exist.
func sysctl(name string) uint64 {
	var b [8]byte
	switch n, err := mach.SysctlByName(name, b[:]); {
	case err != nil:
		return 0
	case n == 4:
		return uint64(order.Uint32(b[:]))
	case n == 8:
		return order.Uint64(b[:])
	}
	return 0
}

// text reads a text into b, without its NUL, as far as it fits, and returns its length, or 0 if it does not exist.
func text(name string, b []byte) int {
	var t [256]byte
	n, err := mach.SysctlByName(name, t[:])
	if err != nil {
		return 0
	}
	if n > 0 && t[n-1] == 0 {
		n--
	}
	return copy(b, t[:n])
}
