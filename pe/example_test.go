package pe_test

import (
	"fmt"
	"os"

	"minidump/pe"
)

// fileSource reads an image from a file.
type fileSource struct{ f *os.File }

func (s fileSource) ReadAt(p []byte, off uint64) int {
	n, _ := s.f.ReadAt(p, int64(off))
	return n
}

// Prints the ids by which symbol servers and debuggers identify a library.
func Example() {
	f, err := os.Open("testdata/hello.exe")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	r := pe.NewReader(nil)
	if !r.Open(fileSource{f}, pe.File) {
		fmt.Println("no PE image")
		return
	}
	fmt.Printf("code id %s\n", r.Header.AppendCodeID(nil))
	var cv pe.CodeView
	if r.CodeView(&cv) != nil {
		fmt.Printf("debug id %s, in %q\n", cv.AppendDebugID(nil), cv.Name)
	}
	var v pe.Version
	if r.Version(&v) {
		fmt.Println("version", v.FileVersion(), v.String("ProductName"))
	}
	// Output:
	// code id 6B0B121Ca000
	// debug id 6DA76A0C3C2FBFDCD2A9AD1D3FDC20FF1, in "hello.pdb"
	// version [1 2 3 4] Hello
}
