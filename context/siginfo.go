package context

// siginfo_t is a union; signal and code determine which member is valid (siginfo_layout in kernel/signal.c).
type sigKind uint8

const (
	sigKill  sigKind = iota // si_pid, si_uid
	sigRT                   // si_pid, si_uid, si_value
	sigTimer                // si_tid (the timer id), si_overrun, si_value
	sigPoll                 // si_band, si_fd
	sigFault                // si_addr and the fields that belong to it
	sigChild                // si_pid, si_uid, si_status
	sigSys                  // si_call_addr, si_syscall, si_arch
)

// kindOf expects generic numbers. A fault code that is newer than this package still counts as a fault.
func kindOf(signo, code int32) sigKind {
	if code > SI_USER && code < SI_KERNEL {
		switch signo {
		case SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, sigEMT:
			return sigFault
		case SIGCHLD:
			return sigChild
		case SIGSYS:
			return sigSys
		}
		if code <= 6 { // NSIGPOLL: F_SETSIG allows any signal
			return sigPoll
		}
		return sigKill
	}
	switch {
	case code == SI_TIMER:
		return sigTimer
	case code == SI_SIGIO:
		return sigPoll
	case code < 0:
		return sigRT
	}
	return sigKill
}

// siginfoMin returns the minimum number of bytes that parseSiginfo requires: the three numbers and the first word of the union.
func siginfoMin(a Arch) int {
	if a.WordSize() == 8 {
		return 24
	}
	return 16
}

// parseSiginfo fills in c from a siginfo_t. si has at least siginfoMin bytes; a field beyond its end reads as 0.
//
// The layout (asm-generic/siginfo.h): si_signo, si_errno, si_code as int; on MIPS si_code comes second. Then the union, at
// 16 where words have 8 bytes, at 12 where they have 4. Its members start with
//
//	kill, rt, child  int pid, uid; rt: sigval word; child: int status
//	timer            int tid, overrun; sigval word
//	poll             word band; int fd
//	fault            word addr; at the next word short addr_lsb; at the one after that word lower, upper or u32 pkey
//	sys              word call_addr; int syscall; u32 arch
func (c *Crash) parseSiginfo(si []byte) {
	big := c.BigEndian
	w := c.Arch.WordSize()
	u32 := func(off int) uint32 {
		if off+4 > len(si) {
			return 0
		}
		return get32(big, si[off:])
	}
	word := func(off int) uint64 {
		if off+w > len(si) {
			return 0
		}
		return getN(big, si, off, w)
	}
	c.Signo = int32(u32(0))
	c.Errno, c.Code = int32(u32(4)), int32(u32(8))
	if c.Arch == MIPS || c.Arch == MIPS64 {
		c.Errno, c.Code = c.Code, c.Errno
	}
	u := 12
	if w == 8 {
		u = 16
	}
	signo, code := genericSignal(c.Arch, c.Signo), genericCode(c.Arch, c.Code)
	switch kindOf(signo, code) {
	case sigKill:
		c.SenderPID, c.SenderUID = int32(u32(u)), u32(u+4)
	case sigRT:
		c.SenderPID, c.SenderUID, c.Value = int32(u32(u)), u32(u+4), word(u+8)
	case sigTimer:
		c.TimerID, c.Overrun, c.Value = int32(u32(u)), int32(u32(u+4)), word(u+8)
	case sigPoll:
		c.Band, c.FD = word(u), int32(u32(u+w))
	case sigChild:
		c.SenderPID, c.SenderUID, c.Status = int32(u32(u)), u32(u+4), int32(u32(u+8))
	case sigSys:
		c.Address, c.HasAddress = word(u), true
		c.Syscall, c.SyscallArch = int32(u32(u+w)), u32(u+w+4)
	case sigFault:
		c.Address, c.HasAddress = word(u), true
		switch {
		case signo == SIGBUS && (code == BUS_MCEERR_AR || code == BUS_MCEERR_AO):
			if u+w+2 <= len(si) {
				c.AddressLSB = int16(get16(big, si[u+w:]))
			}
		case signo == SIGSEGV && code == SEGV_BNDERR:
			c.LowerBound, c.UpperBound = word(u+2*w), word(u+3*w)
		case signo == SIGSEGV && code == SEGV_PKUERR:
			c.ProtectionKey = u32(u + 2*w)
		case signo == SIGSEGV && code == SEGV_MTEAERR:
			// An asynchronous tag check fault is reported too late for an address.
			c.HasAddress = c.Address != 0
		}
	}
}
