//go:build linux

// Runcost measures how much longer a command takes under minidump run than without it, in wall time.
//
//	runcost [ROUNDS]
//
// Each workload runs ROUNDS times (default 15) each way, alternating, and the shortest times are compared, because the
// machine may be busy. It prints a Markdown table. Requires gcc and strace.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"minidump/run"
)

//go:embed c/syscalls.c
var source []byte

func main() {
	if len(os.Args) > 2 && os.Args[1] == "--work" {
		work(os.Args[2])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "--run" { // run as the command minidump run does
		r, err := run.Command(context.Background(), os.Args[2:], run.Options{StandIn: true})
		if err != nil {
			log.Fatal(err)
		}
		os.Exit(r.Status())
	}
	rounds := 15
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 1 {
			log.Fatal("usage: runcost [ROUNDS]")
		}
		rounds = n
	}
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "runcost")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c := filepath.Join(dir, "syscalls")
	if err := os.WriteFile(c+".c", source, 0o600); err != nil {
		log.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-O1", "-pthread", "-o", c, c+".c").CombinedOutput(); err != nil {
		log.Fatalf("%v\n%s", err, out)
	}
	fmt.Printf("%d CPUs, best of %d\n\n| workload | without | under run | more | ratio |\n|---|--:|--:|--:|--:|\n", runtime.NumCPU(), rounds)
	for _, w := range []struct {
		name string
		argv []string
	}{
		{"start and end of /bin/true", []string{"/bin/true"}},
		{"C, a million system calls", []string{c, "1000000"}},
		{"C, 1000 threads born and dead", []string{c, "0", "1000"}},
		{"Go, allocating all the time", []string{self, "--work", "gc"}},
		{"Go, stopping the world all the time", []string{self, "--work", "urg"}},
		{"Go, 10000 recovered nil dereferences", []string{self, "--work", "nil"}},
	} {
		if kind := w.argv[len(w.argv)-1]; kind == "gc" || kind == "urg" {
			w.name += fmt.Sprintf(", %d SIGURG", signals(self, kind))
		}
		var without, with []time.Duration
		for range rounds {
			without = append(without, timed(w.argv))
			with = append(with, timed(append([]string{self, "--run"}, w.argv...)))
		}
		a, b := best(without), best(with)
		fmt.Printf("| %s | %.1f ms | %.1f ms | %.1f ms | %.2f |\n", w.name, a.Seconds()*1000, b.Seconds()*1000, (b-a).Seconds()*1000, b.Seconds()/a.Seconds())
	}
}

// signals counts the SIGURG signals that a Go workload receives, in a separate run under strace.
func signals(self, kind string) int {
	report := self + ".signals"
	defer os.Remove(report)
	out, err := exec.Command("strace", "-f", "-qq", "-e", "trace=none", "-e", "signal=SIGURG", "-o", report, self, "--work", kind).CombinedOutput()
	if err != nil {
		log.Fatalf("strace: %v\n%s", err, out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		log.Fatal(err)
	}
	return bytes.Count(b, []byte("--- SIGURG"))
}

func timed(argv []string) time.Duration {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		log.Fatalf("%q: %v", argv, err)
	}
	return time.Since(start)
}

func best(d []time.Duration) time.Duration {
	return slices.Min(d)
}

type tree struct {
	left, right *tree
}

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

// Sink keeps the compiler from removing the computations.
var (
	Sink *tree
	Spun atomic.Uint64
)

// work runs a Go workload.
func work(kind string) {
	switch kind {
	case "gc": // the collector stops threads in tight loops by SIGURG
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 15 {
					Sink = grow(14)
					spin()
				}
			})
		}
		wg.Wait()
	case "urg": // two threads in loops without calls, and a third that stops the world
		stop := make(chan bool)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						spin()
					}
				}
			})
		}
		var m runtime.MemStats
		for range 10000 {
			runtime.ReadMemStats(&m)
		}
		close(stop)
		wg.Wait()
	case "nil":
		for range 10000 {
			nilDereference()
		}
	}
}

//go:noinline
func spin() {
	var x uint64
	for i := range uint64(1_000_000) {
		x = x*31 + i
	}
	Spun.Store(x)
}

func nilDereference() {
	defer func() { recover() }()
	var p *tree
	Sink = p.left
}
