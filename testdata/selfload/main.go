// selfload dumps itself while it collects garbage, allocates, starts programs, starts and ends threads, and gets signals.
//
// It prints one line of JSON: the number of dumps, and the problems with the number of dumps that had each.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/stream"
)

type node struct {
	a, b *node
	_    [5]int
}

func tree(n int) *node {
	if n == 0 {
		return nil
	}
	return &node{a: tree(n - 1), b: tree(n - 1)}
}

var keep [4]*node

func load(pid int) {
	for i := range keep {
		go func() {
			for {
				keep[i] = tree(12)
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
			}
		}()
	}
	go func() {
		for {
			runtime.GC()
		}
	}()
	go func() {
		for {
			if err := exec.Command("/bin/true").Run(); err != nil {
				fmt.Fprintln(os.Stderr, "a started program failed:", err)
			}
		}
	}()
	go func() {
		for { // a goroutine that ends while locked to its thread ends the thread too
			done := make(chan struct{})
			go func() {
				runtime.LockOSThread()
				close(done)
			}()
			<-done
		}
	}()
	go func() {
		for {
			_ = unix.Kill(pid, unix.SIGURG)
			time.Sleep(100 * time.Microsecond)
		}
	}()
}

type report struct {
	Go      string
	Dumps   int
	Bad     map[string]int
	Soft    map[string]int
	Alive   uint64 // count of another goroutine meanwhile
	PauseUS [3]int64
	TotalUS [3]int64
	Threads int
	Size    uint64
}

func main() {
	n := flag.Int("n", 100, "number of dumps")
	heap := flag.Int("heap", 0, "MiB of memory to touch")
	threads := flag.Int("threads", 0, "additional threads")
	mode := flag.Int("mode", 0, "minidump.Mode")
	quiet := flag.Bool("quiet", false, "no load")
	once := flag.Bool("once", false, "DumpSelf for each, not one SelfWriter")
	nodump := flag.Bool("undumpable", false, "PR_SET_DUMPABLE 0")
	keepFile := flag.String("o", "", "keep the last dump here")
	flag.Parse()
	if *nodump {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			panic(err)
		}
	}
	memory := make([]byte, *heap<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	for range *threads {
		go func() {
			runtime.LockOSThread()
			for {
				_ = unix.Nanosleep(&unix.Timespec{Sec: 1000}, nil)
			}
		}()
	}
	if !*quiet {
		load(os.Getpid())
	}
	var alive atomic.Uint64
	go func() {
		for {
			alive.Add(1)
			time.Sleep(time.Millisecond)
		}
	}()
	o := minidump.Options{Mode: minidump.Mode(*mode), Annotations: []minidump.Annotation{{Key: "load", Value: "self"}}}
	dump := func(w *bytes.Buffer) (minidump.Result, error) { return minidump.DumpSelf(w, o) }
	if !*once {
		s, err := minidump.NewSelfWriter(o)
		if err != nil {
			panic(err)
		}
		dump = func(w *bytes.Buffer) (minidump.Result, error) { return s.Dump(w) }
	}
	r := report{Go: runtime.Version(), Bad: map[string]int{}, Soft: map[string]int{}}
	var pause, total []int64
	var b bytes.Buffer
	for range *n {
		b.Reset()
		res, err := dump(&b)
		if err != nil {
			r.Bad[err.Error()]++
			continue
		}
		if problem := check(b.Bytes(), res); problem != "" {
			r.Bad[problem]++
			continue
		}
		r.Dumps++
		for _, e := range res.SoftErrors() {
			r.Soft[fmt.Sprint(e.Op, ": ", e.Err)]++
		}
		pause, total = append(pause, res.Pause.Microseconds()), append(total, res.Total.Microseconds())
		r.Threads, r.Size = res.Threads, res.Size
	}
	if *keepFile != "" {
		if err := os.WriteFile(*keepFile, b.Bytes(), 0o600); err != nil {
			panic(err)
		}
	}
	r.PauseUS, r.TotalUS, r.Alive = spread(pause), spread(total), alive.Load()
	_ = json.NewEncoder(os.Stdout).Encode(r)
	runtime.KeepAlive(memory)
	if len(r.Bad) > 0 {
		os.Exit(1)
	}
}

// spread returns the minimum, the median and the maximum.
func spread(v []int64) [3]int64 {
	if len(v) == 0 {
		return [3]int64{}
	}
	slices.Sort(v)
	return [3]int64{v[0], v[len(v)/2], v[len(v)-1]}
}

// check returns what is wrong with a dump.
func check(b []byte, res minidump.Result) string {
	if uint64(len(b)) != res.Size {
		return fmt.Sprintf("%d bytes, the result says %d", len(b), res.Size)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "parse: " + err.Error()
	}
	if problems := stream.Problems(f); len(problems) > 0 {
		return "problem: " + problems[0]
	}
	threads, err := f.Threads()
	if err != nil || len(threads) != res.Threads {
		return fmt.Sprintf("threads: %v, %v", len(threads) == res.Threads, err)
	}
	return ""
}
