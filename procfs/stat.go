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

// The fields of stat that a Stat keeps, by their number in proc(5).
const (
	statPPID       = 4
	statPGrp       = 5
	statSession    = 6
	statTTY        = 7
	statFlags      = 9
	statMinFaults  = 10
	statMajFaults  = 12
	statUTime      = 14
	statSTime      = 15
	statPriority   = 18
	statNice       = 19
	statNumThreads = 20
	statStartTime  = 22
	statVSize      = 23
	statRSS        = 24
	statStartCode  = 26
	statEndCode    = 27
	statStartStack = 28
	statKStkESP    = 29
	statKStkEIP    = 30
	statWChan      = 35
	statProcessor  = 39
	statRTPriority = 40
	statPolicy     = 41
	statStartData  = 45
	statEndData    = 46
	statStartBrk   = 47
	statArgStart   = 48
	statArgEnd     = 49
	statEnvStart   = 50
	statEnvEnd     = 51
	statExitCode   = 52
	statLast       = 52
)

// ParseStat reads a stat file. The name of the process stands in parentheses and may hold anything, so it ends at the last
// one. It is ok when everything up to RSS (field 24, which every kernel has) is there and well formed; what a
// kernel does not give is 0.
func ParseStat(b []byte) (Stat, bool) {
	var s Stat
	pid, i := signedAt(b, 0)
	if i == 0 || i+2 > len(b) || b[i] != ' ' || b[i+1] != '(' {
		return Stat{}, false
	}
	open := i + 1
	end := bytes.LastIndexByte(b, ')')
	if end <= open || end+3 > len(b) || b[end+1] != ' ' {
		return Stat{}, false
	}
	s.PID = int32At(b, 0)
	if int64(s.PID) != pid {
		return Stat{}, false
	}
	s.Comm = b[open+1 : end : end]
	s.State = b[end+2]
	i = end + 3
	for field := statPPID; field <= statLast; field++ {
		if i >= len(b) || b[i] != ' ' {
			return s, field > statRSS
		}
		i++
		// A field is an unsigned 64-bit number or a signed one: the sign stays in the bits.
		var v uint64
		next := i
		if i < len(b) && b[i] == '-' {
			var signed int64
			signed, next = signedAt(b, i)
			v = uint64(signed)
		} else {
			v, next = decimalAt(b, i)
		}
		if next == i {
			return s, field > statRSS
		}
		i = next
		s.set(field, v)
	}
	return s, true
}

func (s *Stat) set(field int, v uint64) {
	switch field {
	case statPPID:
		s.PPID = int32(v)
	case statPGrp:
		s.PGrp = int32(v)
	case statSession:
		s.Session = int32(v)
	case statTTY:
		s.TTY = int32(v)
	case statFlags:
		s.Flags = v
	case statMinFaults:
		s.MinFaults = v
	case statMajFaults:
		s.MajFaults = v
	case statUTime:
		s.UTime = v
	case statSTime:
		s.STime = v
	case statPriority:
		s.Priority = int64(v)
	case statNice:
		s.Nice = int64(v)
	case statNumThreads:
		s.NumThreads = int32(v)
	case statStartTime:
		s.StartTime = v
	case statVSize:
		s.VSize = v
	case statRSS:
		s.RSS = int64(v)
	case statStartCode:
		s.StartCode = v
	case statEndCode:
		s.EndCode = v
	case statStartStack:
		s.StartStack = v
	case statKStkESP:
		s.KStkESP = v
	case statKStkEIP:
		s.KStkEIP = v
	case statWChan:
		s.WChan = v
	case statProcessor:
		s.Processor = int32(v)
	case statRTPriority:
		s.RTPriority = uint32(v)
	case statPolicy:
		s.Policy = uint32(v)
	case statStartData:
		s.StartData = v
	case statEndData:
		s.EndData = v
	case statStartBrk:
		s.StartBrk = v
	case statArgStart:
		s.ArgStart = v
	case statArgEnd:
		s.ArgEnd = v
	case statEnvStart:
		s.EnvStart = v
	case statEnvEnd:
		s.EnvEnd = v
	case statExitCode:
		s.ExitCode = int32(v)
	}
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
