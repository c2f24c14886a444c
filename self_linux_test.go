package minidump

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/sys"
	"minidump/internal/victims"
	"minidump/stream"
)

// parseSelf opens a dump of this process and checks what every such dump must contain.
func parseSelf(t *testing.T, b []byte, res Result) *stream.File {
	t.Helper()
	if uint64(len(b)) != res.Size {
		t.Fatalf("%d bytes, the result says %d", len(b), res.Size)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if problems := stream.Problems(f); len(problems) > 0 {
		t.Error(problems)
	}
	threads, err := f.Threads()
	if err != nil || len(threads) != res.Threads || len(threads) == 0 {
		t.Errorf("%d threads, the result says %d: %v", len(threads), res.Threads, err)
	}
	misc, err := f.MiscInfo()
	if err != nil || misc.ProcessID != uint32(os.Getpid()) {
		t.Errorf("process %d, not %d: %v", misc.ProcessID, os.Getpid(), err)
	}
	return f
}

func TestDumpSelf(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var b bytes.Buffer
	res, err := DumpSelf(&b, Options{Annotations: []Annotation{{"key", "value"}}})
	if err != nil {
		t.Fatal(err)
	}
	f := parseSelf(t, b.Bytes(), res)
	e, err := f.Exception()
	if err != nil || e.ThreadID != uint32(sys.Gettid()) || e.Code != DumpRequested {
		t.Errorf("exception %+v of thread %d, this is %d: %v", e, e.ThreadID, sys.Gettid(), err)
	}
	if res.Soft == 0 && res.Pause <= 0 {
		t.Errorf("no pause: %+v", res)
	}
}

func TestDumpSelfFile(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	path := filepath.Join(t.TempDir(), "self.dmp")
	res, err := DumpSelfFile(path, Options{Mode: ModeIndirect})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parseSelf(t, b, res)
}

// TestDumpSelfByHelper dumps with the program started again, where the init function in the test binary makes the dump.
func TestDumpSelfByHelper(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, mode := range []Mode{ModeStack, ModeFull} {
		var b bytes.Buffer
		h := &selfHelper{o: Options{Mode: mode, Thread: sys.Gettid(), UserStreams: []UserStream{{0x12345, []byte("bytes")}}}}
		res, err := h.dump(&b)
		if err != nil {
			t.Fatal(err)
		}
		f := parseSelf(t, b.Bytes(), res)
		if got, err := f.Stream(0x12345); err != nil || string(got) != "bytes" {
			t.Errorf("user stream %q: %v", got, err)
		}
	}
}

func TestDumpSelfErrors(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	if _, err := DumpSelf(&bytes.Buffer{}, Options{Limit: 100}); !errors.Is(err, ErrLimit) {
		t.Errorf("a limit of 100 bytes: %v", err)
	}
	broken := errors.New("broken")
	if _, err := DumpSelf(failing{broken}, Options{}); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
	h := &selfHelper{o: Options{Limit: 100}}
	if _, err := h.dump(&bytes.Buffer{}); !errors.Is(err, ErrLimit) {
		t.Errorf("by a helper: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestSelfWriterClosed(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	s, err := NewSelfWriter(Options{})
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Dump(&bytes.Buffer{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if errno := s.DumpFD(1); errno != syscall.EBADF {
		t.Error(errno)
	}
}

func TestOptionsOnTheWay(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	want := &Options{
		Thread: 7, Crash: &context.Crash{Signo: 11, HasAddress: true, Address: 0x45}, Mode: ModeFull, Limit: 1, StackLimit: 2, CrashStackLimit: 3,
		SanitizeStacks: true, SanitizeAll: true, IncludeDontDump: true, MaxPause: 77 * time.Second, Snapshot: SnapshotAlways, Tokens: true, Omit: OmitEnviron, RegisterSets: true, SkipUnreferencedStacks: true, PrincipalAddress: 4,
		AppMemory: []AppMemory{{5, 6}}, Annotations: []Annotation{{"k", "v"}}, UserStreams: []UserStream{{7, []byte{8}}},
		UserModules: []UserModule{{9, 10, "n", []byte{11}}}, StopTimeout: time.Second,
		ModuleAnnotations: []ModuleAnnotations{{12, []Annotation{{"k", "v"}}, []AnnotationObject{{"o", 13, []byte{14}}}}},
	}
	v := reflect.ValueOf(*want)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("field %s is not tested", v.Type().Field(i).Name)
		}
	}
	b := encodeOptions(want)
	got, ok := decodeOptions(b)
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %+v", ok, got)
	}
	for i := range b {
		if _, ok := decodeOptions(b[:i]); ok {
			t.Errorf("%d of %d bytes are accepted", i, len(b))
		}
	}
}

func FuzzDecodeOptions(f *testing.F) {
	f.Add(encodeOptions(&Options{}))
	f.Add(encodeOptions(&Options{Crash: &context.Crash{}, Annotations: []Annotation{{"k", "v"}}}))
	f.Fuzz(func(t *testing.T, b []byte) { decodeOptions(b) })
}

// TestSelfDumpsUnderLoad runs testdata/selfload. MINIDUMP_SELF_DUMPS is the number of dumps; 50 if it is not set.
func TestSelfDumpsUnderLoad(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	n := os.Getenv("MINIDUMP_SELF_DUMPS")
	if n == "" {
		n = "50"
	}
	count, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "selfload")
	output(t, tool(t, "go"), "build", "-o", program, "./testdata/selfload")
	for _, threads := range []string{"0", "600"} {
		text, err := exec.Command(program, "-n", n, "-threads", threads).Output()
		var r struct {
			Dumps int
			Bad   map[string]int
			Alive uint64
		}
		if jsonErr := json.Unmarshal(text, &r); err != nil || jsonErr != nil || r.Dumps != count || r.Alive == 0 {
			t.Errorf("%s threads: %v, %v: %s", threads, err, jsonErr, text)
		}
		t.Logf("%s threads: %s", threads, text)
	}
}

// TestDumpSelfForbidden makes a dump where the kernel does not let the child access its parent.
func TestDumpSelfForbidden(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	if os.Getuid() != 0 {
		t.Skip("running a program as an unprivileged user requires root")
	}
	dir, err := os.MkdirTemp("", "selfload")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "selfload")
	output(t, tool(t, "go"), "build", "-o", program, "./testdata/selfload")
	c := exec.Command(program, "-n", "3", "-quiet", "-undumpable")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, err := c.Output()
	if err != nil || !strings.Contains(string(text), `"Dumps":3`) || !strings.Contains(string(text), "from a child") || !strings.Contains(string(text), `"Threads":1`) {
		t.Errorf("%v: %s", err, text)
	}
}

// TestDumpSelfInHandler makes dumps in a signal handler, while the program collects garbage and allocates.
func TestDumpSelfInHandler(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	if runtime.GOARCH != "amd64" {
		t.Skip("the handler is written for amd64")
	}
	program := filepath.Join(t.TempDir(), "selfsignal")
	output(t, tool(t, "go"), "build", "-o", program, "./testdata/selfsignal")
	text, err := exec.Command(program, "50").CombinedOutput()
	if err != nil || strings.TrimSpace(string(text)) != "50 of 50" {
		t.Errorf("%v: %s", err, text)
	}
}
