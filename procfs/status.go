package procfs

import "bytes"

// Status is the content of /proc/PID/status and /proc/PID/task/TID/status (proc_pid_status in the kernel's fs/proc/array.c). If a
// line is missing (older kernels, other options) its field is 0.
type Status struct {
	Tgid        int32 // the process
	Pid         int32 // the thread
	PPid        int32
	TracerPid   int32 // 0: no tracer
	NSpid       int32 // its number in its own (the innermost) pid namespace; Linux 4.1
	Uid         uint32
	EUid        uint32
	Gid         uint32
	EGid        uint32
	State       byte // as in Stat
	CoreDumping bool // a core is being written; Linux 4.15
	NoNewPrivs  bool
	Seccomp     uint8 // 0 none, 1 strict, 2 filter
	Threads     int32
	VMSize      uint64 // bytes
	VMRSS       uint64 // bytes
	SigPnd      uint64 // pending for the thread: bit n-1 is signal n. MIPS has signals 65 to 128, which don't fit
	ShdPnd      uint64 // pending for the process
	SigBlk      uint64 // blocked
	SigIgn      uint64 // ignored
	SigCgt      uint64 // caught
}

// ParseStatus reads a status file. If a key occurs twice, the first counts. The only text under the control of the process is
// Name, in which the kernel escapes newlines.
func ParseStatus(b []byte) Status {
	var s Status
	var seen uint32
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		key, v := line[:colon], trimBlanks(line[colon+1:])
		bit := statusKey(key)
		if bit == 0 || seen&bit != 0 {
			continue
		}
		seen |= bit
		s.set(bit, v)
	}
	return s
}

const (
	keyState = 1 << iota
	keyTgid
	keyPid
	keyPPid
	keyTracerPid
	keyUid
	keyGid
	keyNSpid
	keyVMSize
	keyVMRSS
	keyCoreDumping
	keyThreads
	keySigPnd
	keyShdPnd
	keySigBlk
	keySigIgn
	keySigCgt
	keyNoNewPrivs
	keySeccomp
)

func statusKey(key []byte) uint32 {
	switch string(key) {
	case "State":
		return keyState
	case "Tgid":
		return keyTgid
	case "Pid":
		return keyPid
	case "PPid":
		return keyPPid
	case "TracerPid":
		return keyTracerPid
	case "Uid":
		return keyUid
	case "Gid":
		return keyGid
	case "NSpid":
		return keyNSpid
	case "VmSize":
		return keyVMSize
	case "VmRSS":
		return keyVMRSS
	case "CoreDumping":
		return keyCoreDumping
	case "Threads":
		return keyThreads
	case "SigPnd":
		return keySigPnd
	case "ShdPnd":
		return keyShdPnd
	case "SigBlk":
		return keySigBlk
	case "SigIgn":
		return keySigIgn
	case "SigCgt":
		return keySigCgt
	case "NoNewPrivs":
		return keyNoNewPrivs
	case "Seccomp":
		return keySeccomp
	}
	return 0
}

func (s *Status) set(key uint32, v []byte) {
	switch key {
	case keyState:
		if len(v) > 0 {
			s.State = v[0]
		}
	case keyTgid:
		s.Tgid = int32At(v, 0)
	case keyPid:
		s.Pid = int32At(v, 0)
	case keyPPid:
		s.PPid = int32At(v, 0)
	case keyTracerPid:
		s.TracerPid = int32At(v, 0)
	case keyUid:
		s.Uid, s.EUid = firstTwo(v)
	case keyGid:
		s.Gid, s.EGid = firstTwo(v)
	case keyNSpid:
		// The pid namespaces from that of the reader's /proc inwards.
		last := len(v)
		for last > 0 && v[last-1] != '\t' && v[last-1] != ' ' {
			last--
		}
		s.NSpid = int32At(v, last)
	case keyVMSize:
		s.VMSize = kilobytes(v)
	case keyVMRSS:
		s.VMRSS = kilobytes(v)
	case keyCoreDumping:
		s.CoreDumping = int32At(v, 0) == 1
	case keyThreads:
		s.Threads = int32At(v, 0)
	case keySigPnd:
		s.SigPnd = signalSet(v)
	case keyShdPnd:
		s.ShdPnd = signalSet(v)
	case keySigBlk:
		s.SigBlk = signalSet(v)
	case keySigIgn:
		s.SigIgn = signalSet(v)
	case keySigCgt:
		s.SigCgt = signalSet(v)
	case keyNoNewPrivs:
		s.NoNewPrivs = int32At(v, 0) == 1
	case keySeccomp:
		if n := int32At(v, 0); n >= 0 && n <= 255 {
			s.Seccomp = uint8(n)
		}
	}
}

// firstTwo returns the first two of the four numbers of Uid and Gid: real and effective.
func firstTwo(v []byte) (first, second uint32) {
	a, i := decimalAt(v, 0)
	b, _ := decimalAt(v, skipBlanks(v, i))
	if a > 1<<32-1 || b > 1<<32-1 {
		return 0, 0
	}
	return uint32(a), uint32(b)
}

// kilobytes parses "123 kB".
func kilobytes(v []byte) uint64 {
	n, _ := decimalAt(v, 0)
	if n > 1<<53 {
		return 0
	}
	return n * 1024
}

// signalSet parses a set of signals, most significant digit first; of more than 16 digits (MIPS has 32) the last 16 count.
func signalSet(v []byte) uint64 {
	if len(v) > 16 {
		v = v[len(v)-16:]
	}
	n, _ := hexAt(v, 0)
	return n
}

// ParseSyscall reads /proc/PID/task/TID/syscall (proc_pid_syscall in the kernel's fs/proc/base.c), which is one of:
//
//	running                                      the thread is on a CPU: no registers (running is true)
//	-1 SP PC                                     it waits, but not inside a system call (nr is -1)
//	NR ARG ARG ARG ARG ARG ARG SP PC             it waits inside system call NR
//
// Numbers except NR are hexadecimal with 0x. It is not ok for anything else. The kernel allows a reader that may attach to the
// thread (PTRACE_MODE_ATTACH) to read the file, even if another tracer is attached, but only with CONFIG_HAVE_ARCH_TRACEHOOK.
func ParseSyscall(b []byte) (nr int64, sp, pc uint64, running bool, ok bool) {
	b = trimBlanks(b)
	if len(b) > 0 && b[len(b)-1] == '\n' {
		b = trimBlanks(b[:len(b)-1])
	}
	if string(b) == "running" {
		return 0, 0, 0, true, true
	}
	nr, i := signedAt(b, 0)
	if i == 0 {
		return 0, 0, 0, false, false
	}
	count := 0
	var last [2]uint64
	for i < len(b) {
		if !hasPrefix(b[i:], " 0x") {
			return 0, 0, 0, false, false
		}
		v, next := hexAt(b, i+3)
		if next == i+3 {
			return 0, 0, 0, false, false
		}
		last[0], last[1] = last[1], v
		count++
		i = next
	}
	if count != 2 && count != 8 {
		return 0, 0, 0, false, false
	}
	return nr, last[0], last[1], false, true
}
