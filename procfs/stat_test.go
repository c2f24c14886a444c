package procfs

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const statTail = " S 22 33 44 34816 55 4194304 6 7 8 9 10 11 12 13 20 -5 3 0 123456789012 140000001 2345 18446744073709551615 " +
	"4194304 4200000 140735000000000 140735000000100 4198400 0 0 4096 1260 77 0 0 17 1 99 2 0 0 0 6300000 6310000 " +
	"7000000 140735000001000 140735000001100 140735000001100 140735000001fff"

func TestStat(t *testing.T) {
	tail := strings.Replace(statTail, "140735000001fff", "140735000001999 139\n", 1)
	want := Stat{
		PID: 11, State: 'S', PPID: 22, PGrp: 33, Session: 44, TTY: 34816, Flags: 4194304, MinFaults: 6, MajFaults: 8,
		UTime: 10, STime: 11, Priority: 20, Nice: -5, NumThreads: 3, StartTime: 123456789012, VSize: 140000001, RSS: 2345,
		StartCode: 4194304, EndCode: 4200000, StartStack: 140735000000000, KStkESP: 140735000000100, KStkEIP: 4198400,
		WChan: 77, Processor: 1, RTPriority: 99, Policy: 2, StartData: 6300000, EndData: 6310000, StartBrk: 7000000,
		ArgStart: 140735000001000, ArgEnd: 140735000001100, EnvStart: 140735000001100, EnvEnd: 140735000001999,
		ExitCode: 139,
	}
	for _, comm := range []string{"cat", "", "a b", ") S 1 2 3", "((()))", "a\nb", "\xff", "x) (y"} {
		var s Stat
		ok := s.Parse([]byte("11 (" + comm + ")" + tail))
		want.Comm = []byte(comm)
		if !ok || string(s.Comm) != comm {
			t.Errorf("%q: %+v, %v", comm, s, ok)
			continue
		}
		s.Comm = want.Comm
		if !reflect.DeepEqual(s, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", comm, s, want)
		}
	}
	// Negative numbers keep their sign: a process without a terminal, a kernel thread.
	var s Stat
	ok := s.Parse([]byte("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 -2 0 1 0 5 0 -7"))
	if !ok || s.Priority != -2 || s.RSS != -7 || s.StartTime != 5 {
		t.Errorf("kernel thread: %+v, %v", s, ok)
	}
}

func TestHostileStat(t *testing.T) {
	bad := []string{
		"", "1", "1 ", "1 (", "1 (a", "1 (a)", "1 (a) ", "1 (a) S", "(a) S 1", "x (a) S 1 2 3", "1 )a( S 1 2 3",
		"1 (a) S 1 2 3 4 5 6 7", "1 (a) S x" + statTail[3:], "4294967296 (a)" + statTail, "1  (a)" + statTail,
		"1 (a)S 2", "99999999999999999999 (a)" + statTail,
	}
	for _, text := range bad {
		var s Stat
		if ok := s.Parse([]byte(text)); ok {
			t.Errorf("Parse(%q) = %+v, true", text, s)
		}
	}
	// Up to rss is enough, one field less is not.
	fields := strings.Fields("1 (a)" + statTail)
	if ok := new(Stat).Parse([]byte(strings.Join(fields[:24], " "))); !ok {
		t.Error("24 fields were not enough")
	}
	if ok := new(Stat).Parse([]byte(strings.Join(fields[:23], " "))); ok {
		t.Error("23 fields were enough")
	}
}

func TestParseBootTime(t *testing.T) {
	tests := []struct {
		text string
		want uint64
		ok   bool
	}{
		{"cpu  1 2 3\nintr 5 0 0\nctxt 7\nbtime 1700000000\nprocesses 9\n", 1700000000, true},
		{"btime 17", 17, true},
		{"xbtime 17\n", 0, false},
		{"btime \n", 0, false},
		{"btime 1x\n", 1, false},
		{"", 0, false},
	}
	for _, test := range tests {
		if got, ok := ParseBootTime([]byte(test.text)); ok != test.ok || ok && got != test.want {
			t.Errorf("ParseBootTime(%q) = %d, %v", test.text, got, ok)
		}
	}
}

const statusText = "Name:\ta\\nTgid:\t666\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t23207\nNgid:\t0\nPid:\t23208\n" +
	"PPid:\t23195\nTracerPid:\t77\nUid:\t1000\t1001\t1002\t1003\nGid:\t2000\t2001\t2002\t2003\nFDSize:\t256\n" +
	"Groups:\t4 20 \nNStgid:\t23207\t9\t1\nNSpid:\t23208\t10\t2\nNSpgid:\t23195\nNSsid:\t20810\nVmPeak:\t    3060 kB\n" +
	"VmSize:\t    3061 kB\nVmRSS:\t    1744 kB\nCoreDumping:\t1\nThreads:\t12\nSigQ:\t0/96365\n" +
	"SigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\nSigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000000001000\n" +
	"SigCgt:\tfffffffc3bba3a00\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"

func TestParseStatus(t *testing.T) {
	want := Status{
		Tgid: 23207, Pid: 23208, PPid: 23195, TracerPid: 77, NSpid: 2, Uid: 1000, EUid: 1001, Gid: 2000, EGid: 2001,
		State: 't', CoreDumping: true, NoNewPrivs: true, Seccomp: 2, Threads: 12, VMSize: 3061 << 10, VMRSS: 1744 << 10,
		SigPnd: 1, ShdPnd: 0x200, SigBlk: 0xfffffffe7ffbfeff, SigIgn: 0x1000, SigCgt: 0xfffffffc3bba3a00,
	}
	if got := ParseStatus([]byte(statusText)); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	// The first line of a key counts, and the last needs no newline.
	if got := ParseStatus([]byte("Tgid:\t1\nTgid:\t2\nNSpid:\t5")); got != (Status{Tgid: 1, NSpid: 5}) {
		t.Errorf("%+v", got)
	}
	// MIPS has 128 signals.
	if got := ParseStatus([]byte("SigCgt:\t00000000000000010000000000000002\n")); got != (Status{SigCgt: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestHostileStatus(t *testing.T) {
	for _, text := range []string{
		"", ":", "\n\n", "Tgid", "Tgid:", "Tgid:\n", "Tgid:\tx\n", "Tgid:\t99999999999\n", "Uid:\n", "Uid:\t5000000000\t1\n",
		"NSpid:\n", "State:\n", "VmRSS:\t99999999999999999999 kB\n", "VmRSS:\t18446744073709551615 kB\n", "SigPnd:\tx\n",
		"Seccomp:\t256\n", "CoreDumping:\t2\n", " Tgid:\t5\n", "tgid:\t5\n",
	} {
		if got := ParseStatus([]byte(text)); got != (Status{}) {
			t.Errorf("ParseStatus(%q) = %+v", text, got)
		}
	}
}

func TestParseSyscall(t *testing.T) {
	tests := []struct {
		text    string
		nr      int64
		sp, pc  uint64
		running bool
		ok      bool
	}{
		{"0 0x3 0x7f5a3e3d2000 0x20000 0x7f5a3e465b60 0xffffffff 0x0 0x7ffcc22f9d88 0x7f5a3e54e2ad\n", 0, 0x7ffcc22f9d88, 0x7f5a3e54e2ad, false, true},
		{"running\n", 0, 0, 0, true, true},
		{"running", 0, 0, 0, true, true},
		{"-1 0x7ffd00001000 0x401000\n", -1, 0x7ffd00001000, 0x401000, false, true},
		{"4003 0x3 0x1 0x2 0x3 0x4 0x5 0xffffffffffffffff 0x8\n", 4003, 1<<64 - 1, 8, false, true},
		{"", 0, 0, 0, false, false},
		{"\n", 0, 0, 0, false, false},
		{"-1\n", 0, 0, 0, false, false},
		{"-1 0x1\n", 0, 0, 0, false, false},
		{"-1 0x1 0x2 0x3\n", 0, 0, 0, false, false},
		{"-1 1 2\n", 0, 0, 0, false, false},
		{"-1 0x 0x2\n", 0, 0, 0, false, false},
		{"-1 0x10000000000000000 0x2\n", 0, 0, 0, false, false},
		{"-1 0x1 0x2x\n", 0, 0, 0, false, false},
		{"1 0x1 0x2 0x3 0x4 0x5 0x6 0x7\n", 0, 0, 0, false, false},
		{"1 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 0x9\n", 0, 0, 0, false, false},
		{"runningx", 0, 0, 0, false, false},
		{"99999999999999999999 0x1 0x2", 0, 0, 0, false, false},
	}
	for _, test := range tests {
		nr, sp, pc, running, ok := ParseSyscall([]byte(test.text))
		if nr != test.nr || sp != test.sp || pc != test.pc || running != test.running || ok != test.ok {
			t.Errorf("ParseSyscall(%q) = %d, %#x, %#x, %v, %v", test.text, nr, sp, pc, running, ok)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("11 (a) b)" + statTail))
	f.Add([]byte("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 -2 0 1 0 5 0 -7"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ParseBootTime(text)
		var s Stat
		ok := s.Parse(text)
		if ok && !strings.HasPrefix(string(text), fmt.Sprintf("%d (%s) %s ", s.PID, s.Comm, []byte{s.State})) &&
			text[0] != '0' && text[0] != '-' {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(statusText))
	f.Add([]byte("Tgid:\t99999999999\nUid:\t1\nVmRSS:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := ParseStatus(text)
		if s != (Status{}) && !strings.Contains(string(text), ":") {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}

func FuzzSyscall(f *testing.F) {
	f.Add([]byte("running\n"))
	f.Add([]byte("-1 0x7ffd00001000 0x401000\n"))
	f.Add([]byte("0 0x3 0x7f5a3e3d2000 0x20000 0x7f5a3e465b60 0xffffffff 0x0 0x7ffcc22f9d88 0x7f5a3e54e2ad\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, sp, pc, running, ok := ParseSyscall(text)
		if (running || !ok) && (sp != 0 || pc != 0) {
			t.Fatalf("%q: %#x %#x", text, sp, pc)
		}
	})
}

func TestParseStatm(t *testing.T) {
	got, ok := ParseStatm([]byte("2241 1150 1020 80 0 461 0\n"))
	if want := (Statm{Size: 2241, Resident: 1150, Shared: 1020, Text: 80, Data: 461}); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, bad := range []string{"", "\n", "1 2 3 4 5\n", "1 2 3 x 5 6 7\n", "1  2 3 4 5 6\n", "99999999999999999999 2 3 4 5 6 7\n"} {
		if got, ok := ParseStatm([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
