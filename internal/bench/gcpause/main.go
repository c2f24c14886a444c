//go:build linux

// Gcpause measures how long dumps stop a process while the dumping program collects garbage continuously: the mean and the
// maximum of Result.Pause, in milliseconds.
//
//	GOMAXPROCS=1 go run ./internal/bench/gcpause [-n DUMPS] PID
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"minidump"
)

// node is one object of a heap full of pointers, so that the garbage collector has something to mark.
type node struct {
	next *node
	_    [6]uint64
}

func main() {
	n := flag.Int("n", 120, "how many dumps")
	flag.Parse()
	pid, err := strconv.Atoi(flag.Arg(0))
	if err == nil {
		err = measure(pid, *n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gcpause:", err)
		os.Exit(1)
	}
}

func measure(pid, n int) error {
	w, err := minidump.NewWriter(pid, minidump.Options{StopTimeout: time.Second})
	if err != nil {
		return err
	}
	defer w.Close()
	var list *node
	for range 300_000 {
		list = &node{next: list}
	}
	var end atomic.Bool
	for range 2 {
		go func() {
			var garbage *node
			for i := 0; !end.Load(); i++ {
				if garbage = (&node{next: garbage}); i%1000 == 0 {
					garbage = nil
				}
				if i%100_000 == 0 {
					runtime.GC()
				}
			}
			runtime.KeepAlive(garbage)
		}()
	}
	var sum, worst time.Duration
	over := 0
	for range n {
		r, err := w.Dump(io.Discard)
		if err != nil {
			return err
		}
		sum += r.Pause
		worst = max(worst, r.Pause)
		if r.Pause > 20*time.Millisecond {
			over++
		}
		time.Sleep(5 * time.Millisecond)
	}
	end.Store(true)
	runtime.KeepAlive(list)
	fmt.Printf("mean %.2f ms, worst %.2f ms, %d of %d over 20 ms\n", sum.Seconds()*1e3/float64(n), worst.Seconds()*1e3, over, n)
	return nil
}
