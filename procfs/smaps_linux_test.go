package procfs

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// TestReadVMFlags reads the flags of a real process: marked memory, and memory handled by a userfaultfd.
func TestReadVMFlags(t *testing.T) {
	pid, areas := startMemory(t)
	d := open(t, pid)
	for _, size := range []int{1 << 20, 5000, 301} {
		r := &SmapsReader{Want: VMDontDump | VMUserfault | VMHugeTLB, Out: make([]FlaggedRange, 64)}
		errno := d.ReadVMFlags(make([]byte, size), ^uint64(0), r)
		if errno == unix.ENOENT {
			t.Skip("this kernel has no smaps")
		}
		if errno != 0 || r.More {
			t.Fatal(errno, r.More)
		}
		flags := func(name string) VMFlags { return FlagsIn(r.Out[:r.N], areas[name], areas[name]+1) }
		if got := flags("dontdump"); got != VMDontDump {
			t.Errorf("MADV_DONTDUMP: %#x", got)
		}
		if got := FlagsIn(r.Out[:r.N], areas["dontdump"]+4*pageSize, areas["dontdump"]+4*pageSize+1); got&VMDontDump != 0 && areas["dontdump"] != 0 {
			t.Errorf("behind it: %#x", got)
		}
		for _, name := range []string{"ordinary", "anonymous", "memfd"} {
			if got := flags(name); got != 0 {
				t.Errorf("%s: %#x", name, got)
			}
		}
		if got := flags("userfault"); areas["userfault"] != 0 && got != VMUserfault {
			t.Errorf("userfault: %#x", got)
		}
		if got := flags("hugetlb"); areas["hugetlb"] != 0 && got != VMHugeTLB|VMDontDump && got != VMHugeTLB {
			t.Errorf("hugetlb: %#x", got)
		}
		n := r.N
		if errno := d.ReadVMFlags(make([]byte, size), areas["dontdump"]+1, r); errno != 0 || r.Until <= areas["dontdump"] || r.N > n {
			t.Errorf("up to the marked area: %v, until %#x", errno, r.Until)
		}
		if FlagsIn(r.Out[:r.N], areas["dontdump"], areas["dontdump"]+1) != VMDontDump {
			t.Error("the marked area, at the end: not found")
		}
	}
}

// BenchmarkReadVMFlags measures the walk of the page tables.
func BenchmarkReadVMFlags(b *testing.B) {
	for _, args := range [][]string{{"idle", "20"}, {"idle", "1000"}, {"big", "1", "2"}} {
		b.Run(fmt.Sprint(args), func(b *testing.B) {
			v := victims.Start(b, victims.C(b, "victim.c", "-ldl"), args...)
			d, err := Open(v.PID)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			buf := make([]byte, 64<<10)
			r := &SmapsReader{Want: VMDontDump, Out: make([]FlaggedRange, 64)}
			b.ReportAllocs()
			for b.Loop() {
				if errno := d.ReadVMFlags(buf, ^uint64(0), r); errno != 0 {
					b.Fatal(errno)
				}
			}
			b.ReportMetric(float64(r.N), "found")
		})
	}
}
