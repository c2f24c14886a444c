package stackwalk

import (
	"bytes"
	stdpe "debug/pe"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"minidump/context"
	"minidump/internal/victims"
)

// peImage is an arm64 PE image from a wheel.
type peImage struct {
	name   string
	b      []byte
	mapped io.ReaderAt
	size   uint64
}

const peBase = 0x1_8000_0000

// peImages returns the arm64 images in the wheels.
func peImages(t testing.TB) (list []*peImage) {
	t.Helper()
	for name, b := range wheelFiles(t, "wheels", ".pyd", ".dll", ".exe") {
		f, err := stdpe.NewFile(bytes.NewReader(b))
		if err != nil || f.Machine != stdpe.IMAGE_FILE_MACHINE_ARM64 {
			continue
		}
		m := &peImage{name: name, b: b, size: uint64(f.OptionalHeader.(*stdpe.OptionalHeader64).SizeOfImage)}
		if m.mapped, err = NewPE(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	if len(list) == 0 {
		t.Skip("no image of arm64 in the wheels")
	}
	return list
}

// functions calls f for every entry of .pdata.
func (m *peImage) functions(t *testing.T, im *image, f func(rva uint64, fn armFunction)) {
	t.Helper()
	var b [8]byte
	for at := uint64(0); at < im.pdata.size; at += 8 {
		if im.p.reads = maxReads; im.readLinked(im.pdata.vaddr+at, b[:]) < len(b) {
			t.Fatalf("%s: .pdata ends at %#x", m.name, at)
		}
		rva := uint64(binary.LittleEndian.Uint32(b[:]))
		if rva == 0 {
			continue
		}
		fn, ok, _ := im.armFunction(rva)
		if !ok || fn.begin != rva {
			t.Errorf("%s: %#x: %+v %v", m.name, rva, fn, ok)
			continue
		}
		f(rva, fn)
	}
}

// TestPEARM64Simulated checks the unwinding of the functions of real images.
func TestPEARM64Simulated(t *testing.T) {
	var all simulation
	const every = 11 // functions; all would take a minute
	kinds, parts, n := map[uint64]int{}, 0, 0
	for _, m := range peImages(t) {
		s := newSimulation(context.ARM64, m.mapped, peBase, m.size)
		back := uint64(0)
		m.functions(t, s.p.image(0), func(rva uint64, fn armFunction) {
			if back == 0 {
				back = peBase + rva + 0x40
			}
			if n++; n%every != 0 {
				return
			}
			kinds[fn.packed&3]++
			if fn.length == 0 || fn.length > 64<<10 {
				return
			}
			b := make([]byte, fn.length)
			if n, _ := m.mapped.ReadAt(b, int64(rva)); n < len(b) {
				t.Fatalf("%s: %d bytes at %#x", m.name, n, rva)
			}
			// A part of a function begins within another entry's frame.
			if s.p.image(0).isPart(&fn) {
				parts++
				return
			}
			s.function(b, rva, back, false)
		})
		all.add(m.name, s)
	}
	t.Logf("%d functions with .xdata, %d and %d packed; %d are parts of others", kinds[0], kinds[1], kinds[2], parts)
	// __security_push_cookie moves SP for its caller, at two points of each image.
	all.report(t, 1+2*len(peImages(t))/every*2)
}

// isPart reports, from its codes, whether an entry is for a part of a function.
func (im *image) isPart(f *armFunction) bool {
	if f.packed != 0 {
		return f.packed&3 == 2
	}
	codes := make([]byte, 64)
	le := binary.LittleEndian
	var h [8]byte
	im.readLinked(f.info, h[:])
	at, scopes := f.info+4, uint64(le.Uint32(h[:])>>22&0x1f)
	if le.Uint32(h[:])>>22 == 0 {
		at, scopes = at+4, uint64(le.Uint32(h[4:])&0xffff)
	}
	if le.Uint32(h[:])>>21&1 == 1 {
		scopes = 0
	}
	codes = codes[:im.readLinked(at+4*scopes, codes)]
	for len(codes) > 0 {
		op, n := decodeArmOp(codes)
		if op.kind == armOpEnd || op.kind == armOpEndC {
			return op.kind == armOpEndC
		}
		codes = codes[n:]
	}
	return false
}

// text returns a code as one line. readobjText returns the same form for the output of llvm-readobj.
func (o *armOp) text() string {
	regs := "d" // the locations of floating-point registers are not tracked
	if o.first != none {
		regs = fmt.Sprintf("%d", o.first)
		if o.count == 2 {
			regs += fmt.Sprintf(" %d", o.first+1)
		} else if o.other != 0 {
			regs += fmt.Sprintf(" %d", o.other)
		}
	}
	switch o.kind {
	case armOpAlloc:
		return fmt.Sprintf("alloc %d", o.off)
	case armOpSave:
		if regs == "d" {
			return "save d"
		}
		return fmt.Sprintf("save %s at %d", regs, o.off)
	case armOpPush:
		return fmt.Sprintf("push %s by %d", regs, o.off)
	case armOpSetFP:
		return fmt.Sprintf("fp %d", o.off)
	case armOpNothing:
		return "nothing"
	}
	return fmt.Sprintf("kind %d", o.kind)
}

var (
	readobjMemory = regexp.MustCompile(`^(?:stp|str|ldp|ldr) (\w+)(?:, (\w+))?, \[sp(?:, #(-?\d+))?\](!)?(?:, #(\d+))?$`)
	readobjAlloc  = regexp.MustCompile(`^(?:sub|add) sp,(?: sp,)? #(\d+)$`)
	readobjFP     = regexp.MustCompile(`^(?:add fp, sp|sub sp, fp), #(\d+)$`)
)

func readobjText(l string) string {
	switch l {
	case "mov fp, sp", "mov sp, fp", "mov x29, sp":
		return "fp 0"
	case "nop", "clear unwound to call":
		return "nothing"
	}
	if m := readobjAlloc.FindStringSubmatch(l); m != nil {
		return "alloc " + m[1]
	}
	if m := readobjFP.FindStringSubmatch(l); m != nil {
		return "fp " + m[1]
	}
	m := readobjMemory.FindStringSubmatch(l)
	if m == nil {
		return l
	}
	regs := ""
	for _, r := range m[1:3] {
		if r == "lr" {
			r = "x30"
		}
		switch {
		case r == "":
		case r[0] == 'd':
			regs = " d"
		default:
			regs += " " + r[1:]
		}
	}
	switch {
	case m[4] != "" || m[5] != "":
		return "push" + regs + " by " + strings.TrimPrefix(m[3]+m[5], "-")
	case regs == " d":
		return "save d"
	}
	return "save" + regs + " at " + m[3]
}

// readobjFunction is what llvm-readobj prints about a function.
type readobjFunction struct {
	rva, length uint64
	packed      bool
	cr          string
	prolog      []string
	epilogs     map[uint64][]string // by offset; the key only is for an epilog that ends the function
}

// only is used instead of the offset of an epilog that ends the function.
const only = ^uint64(0)

// readobj parses the output of llvm-readobj --unwind.
func readobj(out string) (list []*readobjFunction) {
	var f *readobjFunction
	where, at, ended := "", only, false
	for l := range strings.Lines(out) {
		l = strings.TrimSpace(l)
		key, value, _ := strings.Cut(l, ": ")
		n, _ := strconv.ParseUint(value, 0, 64)
		switch key {
		case "Function":
			f = &readobjFunction{rva: n & 0xffffff, epilogs: map[uint64][]string{}}
			list = append(list, f)
			where, at = "", only
		case "FunctionLength":
			f.length = n
		case "Fragment":
			f.packed = true
		case "CR":
			f.cr = value
		case "StartOffset":
			at = n * 4
		case "Prologue [", "Opcodes [", "Epilogue [":
			where, ended = key, false
		case "]":
			if where != "" && !ended { // only some parts of functions have such codes
				delete(f.epilogs, at)
			}
			where = ""
		default:
			if where == "" {
				continue
			}
			code, text, ok := strings.Cut(l, "; ")
			if !ok {
				text = l
			}
			if text == "end" || text == "end_c" {
				ended = true
				continue
			}
			if text = readobjText(text); strings.HasPrefix(code, "0xfc ") { // from a later version
				text = "nothing"
			}
			if where == "Prologue [" {
				f.prolog = append(f.prolog, text)
			} else {
				f.epilogs[at] = append(f.epilogs[at], text)
			}
		}
	}
	return list
}

// TestPEARM64Codes compares the unwind codes of real images with the output of llvm-readobj, function by function.
func TestPEARM64Codes(t *testing.T) {
	tool := victims.Tool(t, "llvm-readobj")
	functions, packed, epilogs := 0, 0, 0
	for _, m := range peImages(t) {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, m.b, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "--unwind", path).Output()
		if err != nil {
			continue // llvm-readobj requires an aligned .pdata
		}
		im := newSimulation(context.ARM64, m.mapped, peBase, m.size).p.image(0)
		for _, want := range readobj(string(out)) {
			if want.cr == "2" || slices.Contains(want.prolog, "INVALID!") { // llvm-readobj knows neither signed return addresses, nor x19 stored with lr
				continue
			}
			im.p.reads = maxReads
			fn, ok, _ := im.armFunction(want.rva)
			if !ok || fn.begin != want.rva || fn.length != want.length || (fn.packed != 0) != want.packed {
				t.Errorf("%s: %#x: %+v %v, want %+v", m.name, want.rva, fn, ok, want)
				continue
			}
			same := func(what string, ops []armOp, want []string) {
				var got []string
				for i := range ops {
					got = append(got, ops[i].text())
				}
				if len(got) < len(want) || !slices.Equal(got[:len(want)], want) { // the rest belongs to the parent
					t.Errorf("%s: %#x: %s %q, want %q", m.name, fn.begin, what, got, want)
				}
			}
			functions++
			if want.packed {
				packed++
				prolog, _ := packedARM64(fn.packed)
				same("prolog", prolog, want.prolog)
				continue
			}
			body, _ := im.armOps(&fn, 0, false)
			same("prolog", body, want.prolog)
			for at, text := range want.epilogs {
				if at == only {
					at = fn.length - 4*uint64(len(text)+1)
				}
				ops, _ := im.armOps(&fn, at, true)
				same("epilog", ops, text)
				epilogs++
			}
		}
	}
	t.Logf("%d functions are the same, %d of them packed; %d epilogs", functions, packed, epilogs)
	if functions < 1000 {
		t.Error("too few")
	}
}
