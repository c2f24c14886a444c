package wer

import (
	"bytes"
	stdpe "debug/pe"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/windows/wer/calltest"
)

// loaded maps the module's code and imports as Windows would, and returns the address of its event callback. From a file, so
// that the kernel makes the code visible to the processor.
func loaded(t *testing.T) uintptr {
	t.Helper()
	f, err := stdpe.NewFile(bytes.NewReader(image(t)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, codeToImports)
	copy(b, text)
	for _, a := range calltest.Addresses() {
		b = binary.LittleEndian.AppendUint64(b, uint64(a))
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := unix.Mmap(int(file.Fd()), 0, len(b), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	return uintptr(unsafe.Pointer(&m[0]))
}

// crashed is a process that fails fast, as the stand-ins of calltest see it: its memory is this process's.
type crashed struct {
	block   *Block
	info    information
	claimed uint32
}

func newCrashed() *crashed {
	for i := range calltest.Results {
		calltest.Results[i] = 1
	}
	calltest.Results[importThreadID] = 77
	calltest.Log.N = 0
	c := &crashed{block: new(Block), claimed: 1}
	c.block.Prepare(Handles{Event: 0x10, Done: 0x20, Peer: 0x30})
	c.info = information{process: 0x55, thread: 0x66, fatal: 1}
	c.info.size = uint32(unsafe.Sizeof(c.info))
	for i := range c.info.record {
		c.info.record[i] = byte(i * 7)
	}
	binary.LittleEndian.PutUint32(c.info.record[:], codeInt29)
	return c
}

// call calls the callback, and returns the functions that it has called.
func (c *crashed) call(t *testing.T, f uintptr) (indices []uint64) {
	t.Helper()
	result, changed := calltest.Call(f, uintptr(unsafe.Pointer(c.block)), uintptr(unsafe.Pointer(&c.info)), uintptr(unsafe.Pointer(&c.claimed)))
	if result != 0 || changed != 0 || c.claimed != 0 {
		t.Errorf("result %#x, registers of the caller changed: %#x, claimed %d", result, changed, c.claimed)
	}
	for _, call := range calltest.Log.Calls[:calltest.Log.N] {
		indices = append(indices, call[0])
	}
	runtime.KeepAlive(c)
	return indices
}

// TestCalls runs the code of the event callback, and compares what it calls.
func TestCalls(t *testing.T) {
	f := loaded(t)
	c := newCrashed()
	c.block.timeout = maxWait + 1
	got := c.call(t, f)
	want := []uint64{importRead, importDuplicate, importDuplicate, importDuplicate, importWrite, importThreadID, importWrite, importSetEvent,
		importWait, importClose, importClose, importClose}
	if !slices.Equal(got, want) {
		t.Fatalf("it calls %d, not %d", got, want)
	}
	const self = ^uint64(0)
	calls := &calltest.Log.Calls
	at := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
	for _, x := range []struct {
		call, argument int
		want           uint64
	}{
		{0, 0, 0x55}, {0, 1, at(unsafe.Pointer(c.block))}, {0, 3, blockHead},
		{1, 0, 0x55}, {1, 1, 0x10}, {1, 2, self}, {1, 4, EVENT_MODIFY_STATE}, {1, 5, 0}, {1, 6, 0},
		{2, 0, 0x55}, {2, 1, 0x20}, {2, 2, self}, {2, 4, SYNCHRONIZE}, {2, 5, 0}, {2, 6, 0},
		{3, 0, 0x55}, {3, 1, 0x30}, {3, 2, self}, {3, 4, SYNCHRONIZE}, {3, 5, 0}, {3, 6, 0},
		{4, 0, 0x55}, {4, 1, at(unsafe.Pointer(&c.block.record))}, {4, 2, at(unsafe.Pointer(&c.info.record))}, {4, 3, recordSize},
		{5, 0, 0x66},
		{6, 0, 0x55}, {6, 1, at(unsafe.Pointer(&c.block.thread))}, {6, 3, 4},
		{7, 0, 0x10 + calltest.NewHandle},
		{8, 0, 2}, {8, 2, 0}, {8, 3, maxWait},
		{9, 0, 0x10 + calltest.NewHandle}, {10, 0, 0x20 + calltest.NewHandle}, {11, 0, 0x30 + calltest.NewHandle},
	} {
		if got := calls[x.call][1+x.argument]; got != x.want {
			t.Errorf("call %d, argument %d: %#x, want %#x", x.call, x.argument, got, x.want)
		}
	}
	if calls[8][2] != calls[2][4] {
		t.Errorf("it waits for what is at %#x, and has duplicated to %#x", calls[8][2], calls[2][4])
	}
	if thread, _ := c.block.Exception(); thread != 77 || !bytes.Equal(c.block.record[:], c.info.record[:]) {
		t.Errorf("thread %d; the record is the same: %v", thread, bytes.Equal(c.block.record[:], c.info.record[:]))
	}
}

// TestFailures has each function fail: what was opened is closed, and nothing after it is done.
func TestFailures(t *testing.T) {
	f := loaded(t)
	for failing, want := range map[int][]uint64{
		importRead:      {importRead},
		importDuplicate: {importRead, importDuplicate},
		importWrite: {importRead, importDuplicate, importDuplicate, importDuplicate, importWrite, importClose, importClose,
			importClose},
		importThreadID: {importRead, importDuplicate, importDuplicate, importDuplicate, importWrite, importThreadID, importClose,
			importClose, importClose},
		importSetEvent: {importRead, importDuplicate, importDuplicate, importDuplicate, importWrite, importThreadID, importWrite,
			importSetEvent, importClose, importClose, importClose},
	} {
		c := newCrashed()
		calltest.Results[failing] = 0
		if got := c.call(t, f); !slices.Equal(got, want) {
			t.Errorf("%s fails: it calls %d, not %d", imports[failing], got, want)
		}
	}
}

// TestRefusedEvents calls it for what is not for it.
func TestRefusedEvents(t *testing.T) {
	f := loaded(t)
	for name, c := range map[string]struct {
		edit func(*crashed)
		want []uint64
	}{
		"another code":    {func(c *crashed) { binary.LittleEndian.PutUint32(c.info.record[:], 0xc0000005) }, nil},
		"not fatal":       {func(c *crashed) { c.info.fatal = 0 }, nil},
		"no block":        {func(c *crashed) { c.block = nil }, nil},
		"a wrong magic":   {func(c *crashed) { c.block.magic ^= 1 << 40 }, []uint64{importRead}},
		"another version": {func(c *crashed) { c.block.version++ }, []uint64{importRead}},
	} {
		x := newCrashed()
		c.edit(x)
		if got := x.call(t, f); !slices.Equal(got, c.want) {
			t.Errorf("%s: it calls %d, not %d", name, got, c.want)
		}
	}
	for _, code := range []uint32{codeFailFast, codeHeap} {
		x := newCrashed()
		binary.LittleEndian.PutUint32(x.info.record[:], code)
		if got := x.call(t, f); len(got) != 12 {
			t.Errorf("%#x: it calls %d", code, got)
		}
	}
}
