// victim DIR KIND starts a monitor and crashes.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"minidump/crash"
)

var sink [][]byte

// deep calls itself until the stack is full.
func deep(n int) int { return deep(n+1) + n }

type table struct{ m map[int]int }

func main() {
	dir, kind := os.Args[1], os.Args[2]
	err := crash.Start(crash.Options{
		Dir: dir, Keep: 5, RaiseTraceback: os.Getenv("RAISE") != "", Annotations: map[string]string{"version": "1.2.3"},
		OnDump: func(path string) { _ = os.WriteFile(dir+"/done", []byte(path), 0o600) },
		OnEnd:  func(e crash.End) { _ = os.WriteFile(dir+"/done", []byte("end: "+e.String()), 0o600) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := crash.SetAnnotation("user", "somebody"); err != nil {
		log.Fatal(err)
	}
	if kind == "deadlock" {
		select {}
	}
	for range 3 {
		go func() { select {} }()
	}
	if os.Getenv("GOTRACEBACK") != "none" {
		time.Sleep(200 * time.Millisecond) // the monitor sleeps by then, as in other programs
	}
	do(dir, kind)
}

func do(dir, kind string) {
	signals := map[string]syscall.Signal{"SIGABRT": syscall.SIGABRT, "SIGSEGV": syscall.SIGSEGV, "SIGQUIT": syscall.SIGQUIT,
		"SIGFPE": syscall.SIGFPE, "SIGBUS": syscall.SIGBUS, "SIGTRAP": syscall.SIGTRAP, "SIGILL": syscall.SIGILL, "SIGSYS": syscall.SIGSYS,
		"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL}
	switch kind {
	case "panic":
		panic("boom")
	case "goroutine":
		go func() { panic("boom in a goroutine") }()
		select {}
	case "error":
		panic(fmt.Errorf("wrapped: %w", errors.New("inner")))
	case "nested":
		defer func() { panic("second") }()
		panic("first")
	case "nil":
		var t *table
		println(len(t.m))
	case "overwritten": // another signal's frame overwrites the signal frame of the fault
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		runtime.LockOSThread()
		defer func() {
			_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGUSR1)
			<-c
		}()
		var t *table
		println(len(t.m))
	case "call": // of a nil function
		var f func()
		f()
	case "stale": // a panic after a recovered fault
		func() {
			defer func() { _ = recover() }()
			var t *table
			println(len(t.m))
		}()
		panic("stale")
	case "address":
		address := uintptr(0xbadbad0)
		println(**(**int)(unsafe.Pointer(&address)))
	case "map":
		m := map[int]int{}
		for range 4 {
			go func() {
				for j := 0; ; j++ {
					m[j] = j
				}
			}()
		}
		select {}
	case "unlock":
		var mu sync.Mutex
		mu.Unlock()
	case "stack":
		debug.SetMaxStack(1 << 20) // filling a gigabyte takes a second
		println(deep(0))
	case "memory":
		_ = syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1 << 31, Max: 1 << 31})
		for {
			sink = append(sink, make([]byte, 64<<20))
		}
	case "output": // redirects the runtime's reports
		f, err := os.Create(dir + "/own")
		if err == nil {
			err = debug.SetCrashOutput(f, debug.CrashOptions{})
		}
		if err != nil {
			log.Fatal(err)
		}
		time.Sleep(time.Minute)
	case "exit":
		os.Exit(3)
	case "fatal":
		log.Fatal("fatal")
	case "return":
	case "goexit":
		go func() { os.Exit(4) }()
		runtime.Goexit()
	case "recovered":
		func() {
			defer func() { _ = recover() }()
			panic("recovered")
		}()
	case "dump":
		path, r, err := crash.Dump()
		fmt.Println(path, r.Threads, err)
	default:
		_ = syscall.Kill(os.Getpid(), signals[kind])
		time.Sleep(2 * time.Second)
	}
}
