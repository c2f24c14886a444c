package procfs

import (
	"bytes"

	"minidump/internal/sys"
)

// Stat is /proc/PID/stat or /proc/PID/task/TID/stat (proc(5); do_task_stat in the kernel's fs/proc/array.c). Times are in clock
// ticks: AT_CLKTCK of the auxiliary vector is the number of ticks per second, 100 nearly everywhere. Addresses are 0 (StartCode
// and EndCode 1) if the reader may not trace the process.
type Stat struct {
	PID        int32
	Comm       []byte // points into the parsed bytes; may contain blanks, parentheses and newlines
	State      byte   // R running, S sleeping, D disk sleep, T stopped, t traced, Z zombie, X dead, I idle, ...
	PPID       int32
	PGrp       int32
	Session    int32
	TTY        int32  // device number
	Flags      uint64 // PF_* of the kernel
	MinFaults  uint64 // page faults that needed no disk
	MajFaults  uint64 // page faults that needed disk
	UTime      uint64 // ticks in user mode
	STime      uint64 // ticks in the kernel
	Priority   int64
	Nice       int64
	NumThreads int32
	StartTime  uint64 // ticks since boot
	VSize      uint64 // bytes
	RSS        int64  // pages
	StartCode  uint64
	EndCode    uint64
	StartStack uint64 // the stack pointer at the start of the program
	KStkESP    uint64 // stack pointer: only of a thread that is exiting or dumping core (Linux 4.9 and later), else 0
	KStkEIP    uint64 // instruction pointer, likewise
	WChan      uint64
	Processor  int32 // CPU that it last ran on
	RTPriority uint32
	Policy     uint32 // SCHED_*
	StartData  uint64
	EndData    uint64
	StartBrk   uint64
	ArgStart   uint64
	ArgEnd     uint64
	EnvStart   uint64
	EnvEnd     uint64
	ExitCode   int32 // as returned by waitpid(2)
}

// Parse fills s in from a stat file. The name of the process is in parentheses and may contain anything, so it ends at the last
// parenthesis. It is ok if everything up to RSS (field 24, which every kernel has) is present and well-formed; fields that a
// kernel lacks are 0.
func (s *Stat) Parse(b []byte) (ok bool) {
	*s = Stat{}
	pid, i := signedAt(b, 0)
	if i == 0 || int64(int32(pid)) != pid || !hasPrefix(b[i:], " (") {
		return false
	}
	name, b, ok := sys.SplitStat(b)
	if !ok {
		return false
	}
	s.PID, s.Comm, s.State = int32(pid), name, b[0]
	i = 1
	// The numbers from field 4 on, by their number in proc(5). Each is a signed or unsigned 64-bit number; the bits of a signed
	// one are kept.
	var f [53]uint64
	field := 4
	for ; field < len(f) && i < len(b) && b[i] == ' '; field++ {
		i++
		var next int
		if i < len(b) && b[i] == '-' {
			var v int64
			v, next = signedAt(b, i)
			f[field] = uint64(v)
		} else {
			f[field], next = decimalAt(b, i)
		}
		if next == i {
			break
		}
		i = next
	}
	s.PPID, s.PGrp, s.Session, s.TTY = int32(f[4]), int32(f[5]), int32(f[6]), int32(f[7])
	s.Flags, s.MinFaults, s.MajFaults = f[9], f[10], f[12]
	s.UTime, s.STime = f[14], f[15]
	s.Priority, s.Nice, s.NumThreads = int64(f[18]), int64(f[19]), int32(f[20])
	s.StartTime, s.VSize, s.RSS = f[22], f[23], int64(f[24])
	s.StartCode, s.EndCode, s.StartStack, s.KStkESP, s.KStkEIP = f[26], f[27], f[28], f[29], f[30]
	s.WChan, s.Processor, s.RTPriority, s.Policy = f[35], int32(f[39]), uint32(f[40]), uint32(f[41])
	s.StartData, s.EndData, s.StartBrk = f[45], f[46], f[47]
	s.ArgStart, s.ArgEnd, s.EnvStart, s.EnvEnd, s.ExitCode = f[48], f[49], f[50], f[51], int32(f[52])
	return field > 24
}

// ParseBootTime finds the line "btime N" of /proc/stat: the time of boot in seconds since 1970. Together with Stat.StartTime it
// determines when a process started, to about a second.
func ParseBootTime(procStat []byte) (uint64, bool) {
	for len(procStat) > 0 {
		var line []byte
		line, procStat = nextLine(procStat)
		if !hasPrefix(line, "btime ") {
			continue
		}
		v, next := decimalAt(line, len("btime "))
		return v, next == len(line) && next > len("btime ")
	}
	return 0, false
}

// nextLine splits b after its first line, and removes the newline.
func nextLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// Statm is /proc/PID/statm (proc(5); proc_pid_statm in the kernel's fs/proc/array.c), in pages. Size and Data change with the
// memory map: whenever a mapping is created, removed or resized, and with most changes of protection.
type Statm struct {
	Size     uint64 // of all mappings
	Resident uint64
	Shared   uint64 // resident pages of files and shared memory
	Text     uint64 // of the program's code
	Data     uint64 // of private writable mappings and stacks
}

// ParseStatm reads a statm file. It is ok if all numbers are present.
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
