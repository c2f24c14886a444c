package archtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A Note goes beside a dump that a test leaves.
type Note struct {
	GOARCH  string // of the dumped program; "": that of the test
	PID     int
	Blamed  int
	Threads int
	Signal  int // 0: no crash
	Address uint64
	// Functions of the blamed thread, innermost first, where they are known, and the program beside the dump.
	Functions []string
	Program   string

	File string `json:"-"` // the program; wanted where Functions are known
}

// Leave copies a dump to where the host gets it, if there is a host: into the folder MINIDUMP_DUMPS.
func Leave(t testing.TB, name string, dump []byte, n Note) {
	t.Helper()
	dir := os.Getenv("MINIDUMP_DUMPS")
	if dir == "" {
		return
	}
	if n.GOARCH == "" {
		n.GOARCH = runtime.GOARCH
	}
	var program []byte
	var err error
	if n.Functions != nil {
		n.Program = filepath.Join(n.GOARCH, filepath.Base(n.File)) // symbols are found by its own name
		os.Mkdir(filepath.Join(dir, n.GOARCH), 0755)
		if program, err = os.ReadFile(n.File); err == nil {
			err = os.WriteFile(filepath.Join(dir, n.Program), program, 0644)
		}
	}
	b, _ := json.Marshal(n)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".dmp"), dump, 0644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".json"), b, 0644)
	}
	if err != nil {
		t.Error(err)
	}
}
