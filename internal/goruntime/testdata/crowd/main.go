// Crowd is a program with goroutines in every state that the runtime has, for the test of package goruntime.
//
//	crowd N [spin]
//
// In addition to those of each kind, N goroutines wait on a channel. It prints "ready PID" when all have reached their
// final state, and panics when its standard input ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"
)

type shape[T any] struct{ value T }

//go:noinline
func (s *shape[T]) wait(c chan T) T { return <-c }

type waiter interface{ Wait(c chan int) int }

type inner struct{ n int }

//go:noinline
func (i inner) Wait(c chan int) int { return i.n + <-c }

// outer has the method Wait through a wrapper that the compiler generates.
type outer struct {
	pad [4]int
	*inner
}

func inlinedTwice(c chan int) int { return inlinedOnce(c) + 1 }
func inlinedOnce(c chan int) int  { return <-c }

//go:noinline
func deep(n int, c chan int) int {
	if n == 0 {
		return inlinedTwice(c)
	}
	var pad [20]int
	pad[n%20] = n
	return deep(n-1, c) + pad[n%20]
}

// deferred waits in a deferred call of a panic.
func deferred(c chan int) {
	defer func() {
		<-c
	}()
	panic(fmt.Errorf("wrapped: %w", errors.New("the reason")))
}

func nilPointer(c chan int) {
	defer func() {
		defer func() { <-c }()
		panic(stringValue("second"))
	}()
	var p *inner
	fmt.Println(p.n)
}

type stringValue string

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	c := make(chan int)
	var started sync.WaitGroup
	run := func(f func()) {
		started.Add(1)
		go func() {
			started.Done()
			f()
		}()
	}
	for range n {
		run(func() { <-c })
	}
	for i := range 10 {
		run(func() { deep(i*13, c) })
	}
	run(func() { new(shape[string]).wait(nil) })
	run(func() { new(shape[int]).wait(c) })
	var w waiter = outer{inner: &inner{1}}
	run(func() { w.Wait(c) })
	go w.Wait(c)
	run(func() { c2 := make(chan int, 1); c2 <- 1; c2 <- 2 })
	run(func() { select {} })
	run(func() {
		select {
		case <-c:
		case <-make(chan string):
		}
	})
	var mu sync.Mutex
	mu.Lock()
	run(func() { mu.Lock() })
	var rw sync.RWMutex
	rw.Lock()
	run(func() { rw.RLock() })
	cond := sync.NewCond(&sync.Mutex{})
	run(func() { cond.L.Lock(); cond.Wait() })
	var wg sync.WaitGroup
	wg.Add(1)
	run(func() { wg.Wait() })
	run(func() { time.Sleep(time.Hour) })
	run(func() { deferred(c) })
	run(func() { nilPointer(c) })
	run(func() { inC() })
	run(func() {
		runtime.LockOSThread()
		<-c
	})
	run(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			<-c
		}
		l.Accept()
	})
	run(func() {
		var p [2]int
		if err := syscall.Pipe(p[:]); err != nil {
			panic(err)
		}
		syscall.Read(p[0], make([]byte, 1))
	})
	run(func() {
		pprof.Do(context.Background(), pprof.Labels("user", "alice", "request", "GET /"), func(context.Context) { <-c })
	})
	run(func() {
		for range func(yield func(int) bool) { yield(1) } {
			<-c
		}
	})
	started.Wait()
	runtime.GC() // sets the waiting times
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready", os.Getpid())
	if len(os.Args) > 2 && os.Args[2] == "spin" {
		for {
			spin()
		}
	}
	os.Stdin.Read(make([]byte, 1))
	panic("standard input has ended")
}

var sink int

//go:noinline
func spin() {
	for i := range 1 << 30 {
		sink += i
	}
}
