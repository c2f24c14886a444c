package corefile_test

import (
	"bytes"
	"testing"

	"minidump"
	"minidump/context"
	"minidump/internal/corefile/coretest"
)

// TestCoreVectorRegisters writes core files with the register sets that a context record contains in addition to the
// usual two. It checks that their bytes are in the record of the thread that had them, and in no other.
func TestCoreVectorRegisters(t *testing.T) {
	for _, c := range []struct {
		arch  string
		notes []uint32
		sizes []int
		at    int // offset of the bytes in the record
		Want  int // how many
	}{
		{"s390x", []uint32{context.NT_S390_VXRS_LOW, context.NT_S390_VXRS_HIGH}, []int{128, 256}, 360, 384},
		{"ppc", []uint32{context.NT_PPC_VMX}, []int{544}, 428, 33 * 16},
		{"ppc64", []uint32{context.NT_PPC_VMX}, []int{544}, 584, 33 * 16},
		{"ppc64le", []uint32{context.NT_PPC_VMX}, []int{544}, 584, 33 * 16},
	} {
		a := coretest.ArchNamed(c.arch)
		b := coretest.Sample(a)
		var all []byte
		for i, note := range c.notes {
			data := make([]byte, c.sizes[i])
			for k := range data {
				data[k] = byte(7*len(all) + k + i + 1)
			}
			all = append(all, data...)
			b.Note("LINUX", note, data)
		}
		f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
		threads, err := f.Threads()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, th := range threads {
			rec, err := f.Context(th.Context)
			if err != nil || len(rec) != a.Arch.ContextSize() {
				t.Fatalf("%s: %d bytes: %v", c.arch, len(rec), err)
			}
			if bytes.Equal(rec[c.at:c.at+c.Want], all[:c.Want]) {
				found++
			} else if !bytes.Equal(rec[c.at:c.at+c.Want], make([]byte, c.Want)) {
				t.Errorf("%s: thread %d has % x at %d", c.arch, th.ThreadID, rec[c.at:c.at+16], c.at)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d of %d threads have the vectors", c.arch, found, len(threads))
		}
	}
}
