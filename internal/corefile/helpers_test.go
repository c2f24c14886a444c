package corefile_test

import (
	"bytes"
	"minidump/stream"
	"testing"

	"minidump"

	_ "minidump/context/insn" // completes crashes, as in the command
)

// dumpCore dumps a core file and decodes the dump. Everything that the decoder finds wrong fails the test.
func dumpCore(t testing.TB, core []byte, o minidump.Options) (*stream.File, minidump.Result) {
	t.Helper()
	w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return dumpOpened(t, w)
}

func dumpOpened(t testing.TB, w *minidump.Writer) (*stream.File, minidump.Result) {
	t.Helper()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	if uint64(b.Len()) != r.Size || r.Pause != 0 {
		t.Errorf("the result says %d bytes and a pause of %v; %d came", r.Size, r.Pause, b.Len())
	}
	return f, r
}
