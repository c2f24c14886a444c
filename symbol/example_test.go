package symbol_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"minidump/symbol"
)

// A program shows where a thread of a dump was, using a symbol file in the layout of Breakpad's symbol servers. The module list
// and the address are those of the dump.
func ExampleSources_Load() {
	const id = "5A9832E5287241C1838ED98914E9B7FF1"
	dir, err := os.MkdirTemp("", "symbols")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "app.pdb", id)
	text := "MODULE windows x86_64 " + id + " app.pdb\nFILE 0 c:\\src\\app.cpp\nFILE 1 c:\\src\\inline.h\n" +
		"INLINE_ORIGIN 0 helper(int)\nFUNC 1000 40 0 first(int)\nINLINE 0 12 0 0 1010 10\n1000 10 11 0\n1010 30 4 1\n"
	if os.MkdirAll(folder, 0o700) != nil || os.WriteFile(filepath.Join(folder, "app.sym"), []byte(text), 0o600) != nil {
		log.Fatal("can't write the symbol file")
	}

	sources := symbol.Sources{Dirs: []string{dir}}
	table, err := sources.Load(symbol.Module{Path: `C:\app.exe`, DebugID: id, DebugFile: `D:\build\app.pdb`})
	if err != nil {
		log.Fatal(err)
	}
	defer table.Close()
	for _, f := range table.Lookup(0x1014) {
		fmt.Printf("%s+%#x at %s:%d, inlined: %v\n", f.Function, f.Offset, f.File, f.Line, f.Inlined)
	}
	// Output:
	// helper(int)+0x4 at c:\src\inline.h:4, inlined: true
	// first(int)+0x14 at c:\src\app.cpp:12, inlined: false
}
