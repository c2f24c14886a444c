//go:build amd64 || 386 || arm64

package wer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"unsafe"

	"minidump/internal/windows/dll"
)

// moduleName is the name in the module's export directory. It contains the version of the blocks that the module handles.
var moduleName = modulePrefix + strconv.Itoa(blockVersion) + ".dll"

const modulePrefix = "minidump-wer-"

// imports lists the functions of kernel32.dll that the assembly calls, in the order of importRead and the constants after it.
var imports = []string{"ReadProcessMemory", "WriteProcessMemory", "DuplicateHandle", "CloseHandle", "GetThreadId", "SetEvent",
	"WaitForMultipleObjects"}

// Indices of imports.
const (
	importRead = iota
	importWrite
	importDuplicate
	importClose
	importThreadID
	importSetEvent
	importWait
)

// codeToImports makes dll.CodeToImports available to the assembly.
const codeToImports = dll.CodeToImports

// addresses returns the addresses of the module's functions in this program.
func addresses() (event, signature, launch, entry uintptr)

// The mark after the last instruction of each function: two words of 32 bits.
const (
	endLow  = 0x20726577 // "wer "
	endHigh = 0x00646e65 // "end\0"
	maxCode = 2048       // maximum length of a function, in bytes
)

var errCode = errors.New("wer: the module's code has no end")

// code returns a copy of the instructions of the assembly function at pc.
func code(pc uintptr) ([]byte, error) {
	end := binary.LittleEndian.AppendUint64(nil, endHigh<<32|endLow)
	text := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&pc))), maxCode)
	for n := range maxCode - len(end) { // the loop reads no byte after the mark
		if text[n] == end[0] && bytes.Equal(text[n:n+len(end)], end) {
			return bytes.Clone(text[:n]), nil
		}
	}
	return nil, errCode
}

// Image returns the contents of the module's file, for programs of this architecture. They are the same each time.
func Image() ([]byte, error) {
	event, signature, launch, entry := addresses()
	l := &dll.Library{Machine: machine, Name: moduleName, HasEntry: true, From: "kernel32.dll", Imports: imports}
	// The event callback must come first: it computes the address of the imports from its own.
	for _, f := range []struct {
		name string
		pc   uintptr
	}{
		{"OutOfProcessExceptionEventCallback", event},
		{"OutOfProcessExceptionEventDebuggerLaunchCallback", launch},
		{"OutOfProcessExceptionEventSignatureCallback", signature},
		{"", entry},
	} {
		text, err := code(f.pc)
		if err != nil {
			return nil, err
		}
		at := uint32(len(l.Code))
		if f.name == "" {
			l.Entry = at
		} else {
			l.Exports = append(l.Exports, dll.Export{Name: f.name, Offset: at})
		}
		if u := unwind(len(text)); f.pc == event && u != nil {
			l.Functions = []dll.Function{{End: uint32(len(text)), Unwind: u}}
		}
		l.Code = append(l.Code, text...)
		l.Code = append(l.Code, make([]byte, -len(l.Code)&15)...)
	}
	return l.Bytes()
}
