package context

import (
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		arch      Arch
		sig, code int32
		want      string
	}{
		{AMD64, 11, 1, "SIGSEGV SEGV_MAPERR"}, {AMD64, 11, 2, "SIGSEGV SEGV_ACCERR"}, {AMD64, 11, 0x80, "SIGSEGV SI_KERNEL"},
		{AMD64, 11, 10, "SIGSEGV SEGV_CPERR"}, {AMD64, 11, 11, "SIGSEGV 11"}, {AMD64, 7, 1, "SIGBUS BUS_ADRALN"},
		{AMD64, 8, 1, "SIGFPE FPE_INTDIV"}, {AMD64, 8, 15, "SIGFPE FPE_CONDTRAP"}, {AMD64, 8, 9, "SIGFPE 9"},
		{AMD64, 4, 2, "SIGILL ILL_ILLOPN"}, {AMD64, 5, 6, "SIGTRAP TRAP_PERF"}, {AMD64, 31, 1, "SIGSYS SYS_SECCOMP"},
		{AMD64, 6, -6, "SIGABRT SI_TKILL"}, {AMD64, 17, 3, "SIGCHLD CLD_DUMPED"}, {AMD64, 29, 6, "SIGIO POLL_HUP"},
		{AMD64, 14, -2, "SIGALRM SI_TIMER"}, {AMD64, 34, -1, "SIG34 SI_QUEUE"}, {AMD64, 0, 0, "SIG0 SI_USER"},
		{AMD64, -7, 1, "SIG-7 EMT_TAGOVF"}, {AMD64, 30, -60, "SIGPWR SI_ASYNCNL"},
		{MIPS, 10, 2, "SIGBUS BUS_ADRERR"}, {MIPS, 7, 1, "SIGEMT EMT_TAGOVF"}, {MIPS64, 12, 1, "SIGSYS SYS_SECCOMP"},
		{MIPS, 16, 0, "SIGUSR1 SI_USER"}, {MIPS, 14, -3, "SIGALRM SI_TIMER"}, {MIPS, 14, -2, "SIGALRM SI_ASYNCIO"},
		{MIPS, 18, 1, "SIGCHLD CLD_EXITED"}, {MIPS, 127, 0, "SIG127 SI_USER"},
	} {
		if got := SignalNameArch(c.arch, c.sig) + " " + CodeNameArch(c.arch, c.sig, c.code); got != c.want {
			t.Errorf("%s %d %d: %s, want %s", c.arch, c.sig, c.code, got, c.want)
		}
	}
	if SignalName(9) != "SIGKILL" || CodeName(11, 1) != "SEGV_MAPERR" || AccessExecute.String() != "execute" {
		t.Error("plain names")
	}
}
