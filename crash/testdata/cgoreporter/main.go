// victim DIR KIND starts a monitor and crashes in C code, in a thread that C code created (thread-…) or called from Go
// (call-…).
package main

// #include <stdlib.h>
// #include "c.h"
import "C"

import (
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"minidump/crash"
	_ "minidump/crash/frames"
)

// healthy uses signals as a program that does not crash may do: a profile, preemption, faults from which it recovers, and a signal
// that it handles, while C threads run.
func healthy(dir string) {
	profile, err := os.Create(dir + "/profile")
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.StartCPUProfile(profile); err != nil {
		log.Fatal(err)
	}
	C.start(C.CString("thread-spin"))
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGABRT)
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGABRT} {
		_ = syscall.Kill(os.Getpid(), sig)
		if got := <-c; got != sig {
			log.Fatal(got)
		}
	}
	end := time.Now().Add(time.Second)
	for range 2 {
		go func() {
			for { // only a signal can preempt it
			}
		}()
	}
	var none *[8]int
	for n := 0; n < 5 || time.Now().Before(end); n++ {
		func() {
			defer func() {
				if recover() == nil {
					log.Fatal("no panic")
				}
			}()
			none[3]++
		}()
		runtime.GC()
	}
	pprof.StopCPUProfile()
	if err := profile.Close(); err != nil {
		log.Fatal(err)
	}
}

//export goCallback
func goCallback() {}

func main() {
	dir, kind := os.Args[1], os.Args[2]
	err := crash.Start(crash.Options{
		Dir: dir, Annotations: map[string]string{"version": "1.2.3"},
		OnDump: func(path string) { _ = os.WriteFile(dir+"/done", []byte(path), 0o600) },
		OnEnd:  func(e crash.End) { _ = os.WriteFile(dir+"/done", []byte("end: "+e.String()), 0o600) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if strings.Contains(kind, "notify") { // the program handles the signal
		c := make(chan os.Signal, 8)
		signal.Notify(c, syscall.SIGSEGV)
		C.start(C.CString("kill-wait"))
		<-c
		time.Sleep(15 * time.Second)
		return
	}
	switch kind {
	case "healthy":
		healthy(dir)
		return
	case "call-fault":
		C.fault()
	case "call-abort":
		C.aborts()
	default:
		C.start(C.CString(kind))
	}
	time.Sleep(time.Minute)
}
