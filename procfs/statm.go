package procfs

// Statm is /proc/PID/statm (proc(5); proc_pid_statm in the kernel's fs/proc/array.c), in pages. Size and Data change with the
// memory map: with every mapping that comes, goes, grows or shrinks, and with most changes of protection.
type Statm struct {
	Size     uint64 // of all mappings
	Resident uint64
	Shared   uint64 // resident pages of files and shared memory
	Text     uint64 // of the program's code
	Data     uint64 // of private writable mappings and stacks
}

// ParseStatm reads a statm file. It is ok when all numbers are there.
func ParseStatm(b []byte) (s Statm, ok bool) {
	var f [6]uint64 // the fifth, libraries, has been 0 since Linux 2.6
	i := 0
	for k := range f {
		if k > 0 {
			if i >= len(b) || b[i] != ' ' {
				return Statm{}, false
			}
			i++
		}
		v, next := decimalAt(b, i)
		if next == i {
			return Statm{}, false
		}
		f[k], i = v, next
	}
	return Statm{Size: f[0], Resident: f[1], Shared: f[2], Text: f[3], Data: f[5]}, true
}
