//go:build amd64 || 386 || arm64

package wer

import (
	"bytes"
	stdpe "debug/pe"
	"slices"
	"testing"
	"unsafe"

	"minidump/pe"
)

func image(t *testing.T) []byte {
	t.Helper()
	b, err := Image()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exported lists the functions that Windows looks up in a module (werapi.h).
var exported = []string{"OutOfProcessExceptionEventCallback", "OutOfProcessExceptionEventDebuggerLaunchCallback",
	"OutOfProcessExceptionEventSignatureCallback"}

func TestImage(t *testing.T) {
	b := image(t)
	if !bytes.Equal(b, image(t)) {
		t.Error("a second image differs")
	}
	if len(b) > 8<<10 {
		t.Errorf("%d bytes", len(b))
	}
	r := pe.NewReader(nil)
	if !r.Open(&pe.Bytes{B: b}, pe.File) {
		t.Fatal("package pe does not read it")
	}
	if h := &r.Header; h.Machine != machine || h.Characteristics&pe.IMAGE_FILE_DLL == 0 || h.AddressOfEntryPoint == 0 {
		t.Errorf("%+v", h)
	}
	if name := string(r.ExportedAs()); name != moduleName {
		t.Errorf("linked under %q", name)
	}
	var x pe.Exports
	var names []string
	var event uint32
	if !r.Exports(&x) {
		t.Fatal("no exports")
	}
	for e := range x.All(r) {
		if names = append(names, string(e.Name)); len(names) == 1 {
			event = e.RVA
		}
	}
	if at := r.Header.Directories[pe.IMAGE_DIRECTORY_ENTRY_IAT].RVA; at-event != codeToImports {
		t.Errorf("imports at %#x, the event callback at %#x", at, event)
	}
	if !slices.Equal(names, exported) {
		t.Errorf("exports %q", names)
	}
}

// TestImports reads the imports by debug/pe, because package pe does not read imports.
func TestImports(t *testing.T) {
	f, err := stdpe.NewFile(bytes.NewReader(image(t)))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range imports {
		want = append(want, name+":kernel32.dll")
	}
	if got, err := f.ImportedSymbols(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestLayout compares the offsets that the assembly uses with those of the compiler.
func TestLayout(t *testing.T) {
	var i information
	var b Block
	for name, c := range map[string][2]uintptr{
		"hProcess":        {infoProcess, unsafe.Offsetof(i.process)},
		"hThread":         {infoThread, unsafe.Offsetof(i.thread)},
		"exceptionRecord": {infoRecord, unsafe.Offsetof(i.record)},
		"bIsFatal":        {infoFatal, unsafe.Offsetof(i.fatal)},
		"end of the head": {blockHead, unsafe.Offsetof(b.thread)},
		"imports":         {uintptr(len(imports)), importWait + 1},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d and %d", name, c[0], c[1])
		}
	}
	if n := unsafe.Sizeof(b); n > 2048 {
		t.Errorf("a Block has %d bytes", n)
	}
}

// information is WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h of the SDK of Windows 10).
type information struct {
	size            uint32
	process, thread uintptr
	record          [recordSize]byte
	report          uintptr
	fatal, reserved uint32
}
