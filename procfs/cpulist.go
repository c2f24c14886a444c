package procfs

// maxCPU bounds the numbers in a CPU list; Linux is built for at most 8192 CPUs.
const maxCPU = 1 << 16

// ParseCPUList counts the CPUs of a list such as "0-3,5" (/sys/devices/system/cpu/present and possible, in the kernel's
// bitmap list format). It is not ok when the text is malformed, empty, not ascending, or has a number of 65,536 or more.
func ParseCPUList(b []byte) (count int, ok bool) {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	b = trimBlanks(b)
	lowest := uint64(0)
	for i := 0; ; i++ {
		first, next := decimalAt(b, i)
		if next == i || first < lowest || first >= maxCPU {
			return 0, false
		}
		last := first
		i = next
		if i < len(b) && b[i] == '-' {
			last, next = decimalAt(b, i+1)
			if next == i+1 || last < first || last >= maxCPU {
				return 0, false
			}
			i = next
		}
		count += int(last - first + 1)
		lowest = last + 1
		if i == len(b) {
			return count, true
		}
		if b[i] != ',' {
			return 0, false
		}
	}
}
