package procfs

import "bytes"

// Stat is /proc/PID/stat or /proc/PID/task/TID/stat (proc(5); do_task_stat in the kernel's fs/proc/array.c). Times are in
// clock ticks: AT_CLKTCK of the auxiliary vector gives how many there are in a second, 100 nearly everywhere.
// Addresses are 0 (StartCode and EndCode 1) when the reader may not trace the process.
type Stat struct {
	PID        int32
	Comm       []byte // points into the parsed bytes; may hold blanks, parentheses and newlines
	State      byte   // R running, S sleeping, D disk sleep, T stopped, t traced, Z zombie, X dead, I idle, ...
	PPID       int32
	PGrp       int32
	Session    int32
	TTY        int32  // device number
	Flags      uint64 // PF_* of the kernel
	MinFaults  uint64 // page faults that needed no disk
	MajFaults  uint64 // and that did
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
	KStkESP    uint64 // stack pointer: only of a thread that is ending or dumping core (Linux 4.9 and later), else 0
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
	ExitCode   int32 // as waitpid(2) gives it
}

// Parse fills s in from a stat file. The name of the process stands in parentheses and may hold anything, so it ends at the last
// one. It is ok when everything up to RSS (field 24, which every kernel has) is there and well formed; what a
// kernel does not give is 0.
func (s *Stat) Parse(b []byte) (ok bool) {
	*s = Stat{}
	pid, i := signedAt(b, 0)
	if i == 0 || i+2 > len(b) || b[i] != ' ' || b[i+1] != '(' {
		return false
	}
	open := i + 1
	end := bytes.LastIndexByte(b, ')')
	if end <= open || end+3 > len(b) || b[end+1] != ' ' {
		return false
	}
	s.PID = int32At(b, 0)
	if int64(s.PID) != pid {
		s.PID = 0
		return false
	}
	s.Comm = b[open+1 : end : end]
	s.State = b[end+2]
	i = end + 3
	// The numbers from field 4 on, by their number in proc(5). One is an unsigned 64-bit number or a signed one: the sign
	// stays in the bits.
	var f [53]uint64
	field := 4
	for ; field < len(f) && i < len(b) && b[i] == ' '; field++ {
		i++
		next := i
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

// ParseBootTime finds the line "btime N" of /proc/stat: the time of boot in seconds since 1970. Together with
// Stat.StartTime it gives the time at which a process started, to about a second.
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

// nextLine splits b after its first line, whose newline is left out.
func nextLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}
