package procfs

import (
	"os"
	"runtime"
	"testing"
)

func TestNumTasks(t *testing.T) {
	d, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	stop := make(chan bool)
	defer close(stop)
	for range 5 { // threads of their own
		go func() {
			runtime.LockOSThread()
			<-stop
		}()
	}
	for range 100 { // the runtime may start or end threads meanwhile
		out := make([]int32, 1000)
		before, errno := d.NumTasks()
		if errno != 0 {
			t.Fatal(errno)
		}
		n, _, errno := d.Tasks(make([]byte, 32<<10), out)
		if errno != 0 {
			t.Fatal(errno)
		}
		if after, _ := d.NumTasks(); before == after {
			if n != before || n < 2 {
				t.Fatalf("%d threads counted, %d listed", before, n)
			}
			return
		}
	}
	t.Fatal("never twice the same number")
}
