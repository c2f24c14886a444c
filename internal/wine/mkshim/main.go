// Mkshim writes a bcryptprimitives.dll for Wine 8, which lacks that library and so can't start a Go program. It exports
// only ProcessPrng, whose numbers are not random: for tests only.
//
//	go run ./internal/wine/mkshim amd64 "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
package main

import (
	"os"

	"minidump/internal/windows/dll"
	"minidump/pe"
)

// libraries maps an architecture to a library with the code of BOOL ProcessPrng(BYTE *, SIZE_T), which fills the buffer from the time
// stamp counter.
var libraries = map[string]*dll.Library{
	"amd64": {Machine: pe.IMAGE_FILE_MACHINE_AMD64, Code: []byte{
		0x49, 0x89, 0xc8, // mov r8, rcx
		0x49, 0x89, 0xd1, // mov r9, rdx
		0x4d, 0x85, 0xc9, // loop: test r9, r9
		0x74, 0x16, // jz end
		0x0f, 0x31, // rdtsc
		0x69, 0xc0, 0xb1, 0x79, 0x37, 0x9e, // imul eax, eax, 0x9e3779b1
		0xc1, 0xe8, 0x18, // shr eax, 24
		0x41, 0x88, 0x00, // mov [r8], al
		0x49, 0xff, 0xc0, // inc r8
		0x49, 0xff, 0xc9, // dec r9
		0xeb, 0xe5, // jmp loop
		0xb8, 1, 0, 0, 0, // end: mov eax, 1
		0xc3, // ret
	}},
	"386": {Machine: pe.IMAGE_FILE_MACHINE_I386, Code: []byte{
		0x56, 0x57, // push esi; push edi
		0x8b, 0x7c, 0x24, 0x0c, // mov edi, [esp+12]
		0x8b, 0x74, 0x24, 0x10, // mov esi, [esp+16]
		0x85, 0xf6, // loop: test esi, esi
		0x74, 0x11, // jz end
		0x0f, 0x31, // rdtsc
		0x69, 0xc0, 0xb1, 0x79, 0x37, 0x9e, // imul eax, eax, 0x9e3779b1
		0xc1, 0xe8, 0x18, // shr eax, 24
		0x88, 0x07, // mov [edi], al
		0x47, 0x4e, // inc edi; dec esi
		0xeb, 0xeb, // jmp loop
		0xb8, 1, 0, 0, 0, // end: mov eax, 1
		0x5f, 0x5e, // pop edi; pop esi
		0xc2, 8, 0, // ret 8
	}},
}

func main() {
	var l *dll.Library
	if len(os.Args) == 3 {
		l = libraries[os.Args[1]]
	}
	if l == nil {
		os.Stderr.WriteString("usage: mkshim amd64|386 FILE\n")
		os.Exit(2)
	}
	l.Name, l.Exports = "bcryptprimitives.dll", []dll.Export{{Name: "ProcessPrng"}}
	b, err := l.Bytes()
	if err == nil {
		err = os.WriteFile(os.Args[2], b, 0o644)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}
