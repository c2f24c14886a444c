package archtest

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A Note is stored next to a dump that a test leaves.
type Note struct {
	GOARCH  string // of the dumped program; "": that of the test
	PID     int
	Blamed  int
	Threads int
	Signal  int // 0: no crash
	Address uint64
	// Functions of the blamed thread, innermost first, if they are known, and the program stored with the dump.
	Functions []string
	Program   string

	File string `json:"-"` // the program; required if Functions are known
}

// Leave copies a dump to where the host collects it, the folder MINIDUMP_DUMPS, if that is set.
func Leave(t testing.TB, name string, dump []byte, n Note) {
	t.Helper()
	dir := os.Getenv("MINIDUMP_DUMPS")
	if dir == "" {
		return
	}
	err := leaveNote(dir, name, &n)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".dmp"), dump, 0644)
	}
	if err != nil {
		t.Error(err)
	}
}

// LeaveCore is Leave for a core file, which the host converts to a dump.
func LeaveCore(t testing.TB, name, core string, n Note) {
	t.Helper()
	dir := os.Getenv("MINIDUMP_DUMPS")
	if dir == "" {
		return
	}
	err := leaveNote(dir, name, &n)
	if err == nil {
		err = compress(filepath.Join(dir, name+".core.gz"), core)
	}
	if err != nil {
		t.Error(err)
	}
}

func leaveNote(dir, name string, n *Note) error {
	if n.GOARCH == "" {
		n.GOARCH = runtime.GOARCH
	}
	if n.Functions != nil {
		n.Program = filepath.Join(n.GOARCH, filepath.Base(n.File)) // symbols are found by the program's own name
		if err := os.MkdirAll(filepath.Join(dir, n.GOARCH), 0755); err != nil {
			return err
		}
		program, err := os.ReadFile(n.File)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, n.Program), program, 0644); err != nil {
			return err
		}
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), b, 0644)
}

// compress writes a compressed copy of a file: nearly all of a core is zeros of stacks that were never touched.
func compress(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	w, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err == nil {
		err = w.Close()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
