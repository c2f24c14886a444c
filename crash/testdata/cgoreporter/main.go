// victim DIR KIND starts a monitor and crashes in C code, in a thread that C code made (thread-…) or called from Go (call-…).
package main

// #include <stdlib.h>
// #include "c.h"
import "C"

import (
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"minidump/crash"
	_ "minidump/crash/frames"
)

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
	if strings.Contains(kind, "notify") { // the program handles it
		c := make(chan os.Signal, 8)
		signal.Notify(c, syscall.SIGSEGV)
		C.start(C.CString("kill-wait"))
		<-c
		time.Sleep(15 * time.Second)
		return
	}
	switch kind {
	case "call-fault":
		C.fault()
	case "call-abort":
		C.aborts()
	default:
		C.start(C.CString(kind))
	}
	time.Sleep(time.Minute)
}
