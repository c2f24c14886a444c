package main

import (
	"encoding/binary"
	"encoding/json"
	"minidump/internal/scratch"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tinyCore is a core file of an arm64 process 4321 named "some/app" whose only thread died of SIGSEGV at 0x5150, with a
// page of stack.
func tinyCore() []byte {
	le := binary.LittleEndian
	var notes []byte
	note := func(typ uint32, desc []byte) {
		for _, v := range []uint32{5, uint32(len(desc)), typ} {
			notes = le.AppendUint32(notes, v)
		}
		notes = append(append(notes, "CORE\x00\x00\x00\x00"...), desc...)
	}
	status := make([]byte, 392) // struct elf_prstatus
	le.PutUint16(status[12:], 11)
	le.PutUint32(status[32:], 4321)
	le.PutUint64(status[112+31*8:], 0x700010) // sp
	le.PutUint64(status[112+32*8:], 0x401000) // pc
	note(1, status)
	info := make([]byte, 136) // struct elf_prpsinfo
	le.PutUint32(info[24:], 4321)
	copy(info[40:], "some/app")
	copy(info[56:], "some/app --flag ")
	note(3, info)
	siginfo := make([]byte, 128)
	le.PutUint32(siginfo, 11)
	le.PutUint32(siginfo[8:], 2)
	le.PutUint64(siginfo[16:], 0x5150)
	note(0x53494749, siginfo)

	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 4)   // ET_CORE
	b = le.AppendUint16(b, 183) // EM_AARCH64
	b = le.AppendUint32(b, 1)
	for _, v := range []uint64{0, 64, 0} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 2, 64, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	at := uint64(64 + 2*56)
	for _, p := range [][8]uint64{
		{4, 0, at, 0, 0, uint64(len(notes)), 0, 4},
		{1, 6, at + uint64(len(notes)), 0x700000, 0, 4096, 4096, 4096},
	} {
		b = le.AppendUint32(le.AppendUint32(b, uint32(p[0])), uint32(p[1]))
		for _, v := range p[2:] {
			b = le.AppendUint64(b, v)
		}
	}
	return append(append(b, notes...), make([]byte, 4096)...)
}

func TestCore(t *testing.T) {
	dir := scratch.Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "c"), tinyCore(), 0600); err != nil {
		t.Fatal(err)
	}
	// The default name is made of the process's.
	run(t, dir, "core", "c").want(t, 0, "wrote some_app.4321.dmp: ")
	if _, err := os.Stat(filepath.Join(dir, "some_app.4321.dmp")); err != nil {
		t.Error(err)
	}
	shown := run(t, dir, "show", "some_app.4321.dmp")
	for _, want := range []string{"PID 4321", "SIGSEGV / SEGV_ACCERR", "0x5150", "some/app --flag", "arm64", "Linux core aarch64"} {
		if !strings.Contains(shown.out, want) {
			t.Errorf("show does not tell %q:\n%s", want, shown.out)
		}
	}
	o := run(t, dir, "core", "--json", "--mode=full", "--annotation", "k=v", "-o", "full.dmp", "c")
	o.want(t, 0, "")
	var result struct {
		File   string
		Memory int `json:"memory_bytes"`
		Pause  int `json:"pause_ns"`
	}
	if err := json.Unmarshal([]byte(o.out), &result); err != nil || result.File != "full.dmp" || result.Memory != 4096 || result.Pause != 0 {
		t.Errorf("%q: %+v %v", o.out, result, err)
	}
	if o := run(t, dir, "core", "-o", "-", "c"); o.status != 0 || !strings.HasPrefix(o.out, "MDMP") {
		t.Errorf("status %d, %.20q", o.status, o.out)
	}
}

func TestCoreErrors(t *testing.T) {
	dir := scratch.Dir(t)
	for name, content := range map[string]string{"text": "no core file", "core.1.zst": "\x28\xb5\x2f\xfd 1234567", "cut": string(tinyCore()[:900])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "core").want(t, 2, "minidump core: no FILE given\n")
	run(t, dir, "core", "a", "b").want(t, 2, "minidump core: one FILE is expected, not also \"b\"\n")
	run(t, dir, "core", "none").want(t, 1, "minidump: open none: ")
	run(t, dir, "core", "text").want(t, 1, "minidump: text: not an ELF core file\n")
	run(t, dir, "core", "core.1.zst").want(t, 1, "minidump: core.1.zst is compressed by zstd: decompress it first: zstd -d core.1.zst\n")
	run(t, dir, "core", "-o", "cut.dmp", "cut").want(t, 0, "warning: read all of the core file: it is shorter than its headers say at 0x7000")
}

// A file of flags that names itself is an error.
func TestCoreConfigOfItself(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "core.conf")
	if err := os.WriteFile(path, []byte("--limit=1M\n--config="+path+"\n"), 0600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "core", "--config="+path, "x").want(t, 2, "a file of flags can't name another one")
}
