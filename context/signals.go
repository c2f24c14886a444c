package context

import "strconv"

// Signal numbers of Linux on every architecture except MIPS, alpha, parisc and sparc (asm-generic/signal.h).
const (
	SIGHUP    = 1
	SIGINT    = 2
	SIGQUIT   = 3
	SIGILL    = 4
	SIGTRAP   = 5
	SIGABRT   = 6
	SIGBUS    = 7
	SIGFPE    = 8
	SIGKILL   = 9
	SIGUSR1   = 10
	SIGSEGV   = 11
	SIGUSR2   = 12
	SIGPIPE   = 13
	SIGALRM   = 14
	SIGTERM   = 15
	SIGSTKFLT = 16
	SIGCHLD   = 17
	SIGCONT   = 18
	SIGSTOP   = 19
	SIGTSTP   = 20
	SIGTTIN   = 21
	SIGTTOU   = 22
	SIGURG    = 23
	SIGXCPU   = 24
	SIGXFSZ   = 25
	SIGVTALRM = 26
	SIGPROF   = 27
	SIGWINCH  = 28
	SIGIO     = 29
	SIGPWR    = 30
	SIGSYS    = 31

	// sigEMT is a signal of MIPS only; this number is outside of all real ones.
	sigEMT = -7
)

// Values of si_code that any signal may have (asm-generic/siginfo.h).
const (
	SI_USER     = 0
	SI_KERNEL   = 0x80
	SI_QUEUE    = -1
	SI_TIMER    = -2 // -3 on MIPS
	SI_MESGQ    = -3 // -4 on MIPS
	SI_ASYNCIO  = -4 // -2 on MIPS
	SI_SIGIO    = -5
	SI_TKILL    = -6
	SI_DETHREAD = -7
	SI_ASYNCNL  = -60
)

// Values of si_code of SIGSEGV and SIGBUS that this package uses.
const (
	SEGV_BNDERR   = 3
	SEGV_PKUERR   = 4
	SEGV_MTEAERR  = 8
	BUS_MCEERR_AR = 4
	BUS_MCEERR_AO = 5
)

var signalNames = [...]string{SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP",
	SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1", SIGSEGV: "SIGSEGV",
	SIGUSR2: "SIGUSR2", SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGSTKFLT: "SIGSTKFLT",
	SIGCHLD: "SIGCHLD", SIGCONT: "SIGCONT", SIGSTOP: "SIGSTOP", SIGTSTP: "SIGTSTP", SIGTTIN: "SIGTTIN", SIGTTOU: "SIGTTOU",
	SIGURG: "SIGURG", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ", SIGVTALRM: "SIGVTALRM", SIGPROF: "SIGPROF",
	SIGWINCH: "SIGWINCH", SIGIO: "SIGIO", SIGPWR: "SIGPWR", SIGSYS: "SIGSYS"}

// mipsSignals has the generic number for each number that MIPS uses (arch/mips/include/uapi/asm/signal.h).
var mipsSignals = [32]int32{1: SIGHUP, 2: SIGINT, 3: SIGQUIT, 4: SIGILL, 5: SIGTRAP, 6: SIGABRT, 7: sigEMT, 8: SIGFPE,
	9: SIGKILL, 10: SIGBUS, 11: SIGSEGV, 12: SIGSYS, 13: SIGPIPE, 14: SIGALRM, 15: SIGTERM, 16: SIGUSR1, 17: SIGUSR2,
	18: SIGCHLD, 19: SIGPWR, 20: SIGWINCH, 21: SIGURG, 22: SIGIO, 23: SIGSTOP, 24: SIGTSTP, 25: SIGCONT, 26: SIGTTIN,
	27: SIGTTOU, 28: SIGVTALRM, 29: SIGPROF, 30: SIGXCPU, 31: SIGXFSZ}

// genericSignal converts a signal number of the architecture to the one that all except MIPS use.
func genericSignal(a Arch, signo int32) int32 {
	if (a == MIPS || a == MIPS64) && signo > 0 && signo < 32 {
		return mipsSignals[signo]
	}
	return signo
}

// genericCode converts a si_code of the architecture to the one that all except MIPS use.
func genericCode(a Arch, code int32) int32 {
	if a == MIPS || a == MIPS64 {
		switch code { // arch/mips/include/uapi/asm/siginfo.h
		case -2:
			return SI_ASYNCIO
		case -3:
			return SI_TIMER
		case -4:
			return SI_MESGQ
		}
	}
	return code
}

// SignalName returns the name of a Linux signal: "SIGSEGV". For real-time signals and invalid numbers it returns "SIG" and the
// number. For a MIPS process use SignalNameArch.
func SignalName(signo int32) string { return SignalNameArch(ArchUnknown, signo) }

// SignalNameArch is SignalName for a process of a given architecture: MIPS has its own signal numbers.
func SignalNameArch(a Arch, signo int32) string {
	g := genericSignal(a, signo)
	if g == sigEMT && signo > 0 {
		return "SIGEMT"
	}
	if g > 0 && int(g) < len(signalNames) {
		return signalNames[g]
	}
	return "SIG" + strconv.Itoa(int(signo))
}

var codeNames = map[int32][]string{
	SIGILL: {1: "ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC", "ILL_BADSTK",
		"ILL_BADIADDR"},
	SIGFPE: {1: "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB",
		14: "FPE_FLTUNK", "FPE_CONDTRAP"},
	SIGSEGV: {1: "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR", "SEGV_ACCADI", "SEGV_ADIDERR", "SEGV_ADIPERR",
		"SEGV_MTEAERR", "SEGV_MTESERR", "SEGV_CPERR"},
	SIGBUS:  {1: "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"},
	SIGTRAP: {1: "TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"},
	SIGCHLD: {1: "CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"},
	SIGIO:   {1: "POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"},
	SIGSYS:  {1: "SYS_SECCOMP", "SYS_USER_DISPATCH"},
	sigEMT:  {1: "EMT_TAGOVF"},
}

// CodeName returns the name of a Linux si_code, which depends on the signal: "SEGV_MAPERR", "SI_TKILL". For a code without a name
// it returns the number. For a MIPS process use CodeNameArch.
func CodeName(signo, code int32) string { return CodeNameArch(ArchUnknown, signo, code) }

// CodeNameArch is CodeName for a process of a given architecture.
func CodeNameArch(a Arch, signo, code int32) string {
	switch genericCode(a, code) {
	case SI_USER:
		return "SI_USER"
	case SI_KERNEL:
		return "SI_KERNEL"
	case SI_QUEUE:
		return "SI_QUEUE"
	case SI_TIMER:
		return "SI_TIMER"
	case SI_MESGQ:
		return "SI_MESGQ"
	case SI_ASYNCIO:
		return "SI_ASYNCIO"
	case SI_SIGIO:
		return "SI_SIGIO"
	case SI_TKILL:
		return "SI_TKILL"
	case SI_DETHREAD:
		return "SI_DETHREAD"
	case SI_ASYNCNL:
		return "SI_ASYNCNL"
	}
	names := codeNames[genericSignal(a, signo)]
	if code > 0 && int(code) < len(names) && names[code] != "" {
		return names[code]
	}
	return strconv.Itoa(int(code))
}
