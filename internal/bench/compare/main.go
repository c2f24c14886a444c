//go:build linux && amd64

// Compare measures three dumpers side by side on one machine, in one run, against the same victims, and prints a Markdown
// table: the floor (internal/bench/floor, the least that a C program must do), the reference (minidump-writer in Rust,
// internal/bench/rustwriter) and ours (internal/bench).
//
//	go run ./internal/bench/compare [-quick] [-rounds N] [-only VICTIM] [-cap BYTES] [-- FLAG...]
//
// FLAGs are passed to ours. Absolute times mean little on a shared machine, so the dumpers alternate within each round,
// and the figures are medians. Requires gcc, strace, cargo (once: the reference is kept in ~/.cache/minidump-ci) and,
// without -quick, 12 GB of memory, 4 GB of disk in the temporary folder and about 5 minutes.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minidump/internal/victims"
)

func init() {
	runtime.LockOSThread() // a victim is killed when the thread that started it exits
}

// target is a victim and the arguments that start it. Heavy victims are measured less often.
type target struct {
	name  string
	path  string
	args  []string
	spins bool // it can report gaps
	heavy bool
}

// dumper is one of the programs under comparison.
type dumper struct {
	name string
	path string
	args func(pid int, out string) []string
	// The flag that stops it from counting allocations, if counting costs memory and time: allocations are then counted in a separate run.
	uncounted string
}

// plain returns the arguments for a run in which nothing is counted.
func (d dumper) plain(pid int, out string) []string {
	if d.uncounted == "" {
		return d.args(pid, out)
	}
	return append(d.args(pid, out), d.uncounted)
}

// run is what a dumper printed in one run.
type run struct {
	ns, pauseNS, allocs, size []int64 // of each dump
	hwmKB                     int64
}

// row is one line of the table, with -1 for what was not measured.
type row struct {
	target, dumper                  string
	ns, pauseNS, feltNS             int64 // medians; pauseNS as the dumper reports it, feltNS as a spinning victim measured it
	allocs, hwmKB, size, syscalls   int64
	nsOfFloor, nsOfReference        float64
	feltOfFloor, feltOfReference    float64
	sizeOfReference, rssOfReference float64
}

func main() {
	quick := flag.Bool("quick", false, "leave out the heavy victims")
	rounds := flag.Int("rounds", 3, "rounds in which the dumpers alternate")
	only := flag.String("only", "", "measure only the victim of this name, such as \"idle 20\"")
	stackCap := flag.Int("cap", 32<<10, "bytes of each stack that the floor reads")
	flag.Parse()
	tmp, err := os.MkdirTemp("", "compare-")
	check(err)
	defer os.RemoveAll(tmp)
	targets, dumpers := build(tmp, *stackCap, flag.Args())
	var rows []row
	for _, t := range targets {
		if *quick && t.heavy || *only != "" && t.name != *only {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", t.name)
		rows = append(rows, measure(t, dumpers, *rounds, tmp)...)
	}
	printTable(os.Stdout, rows)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// command runs a program until it exits and returns its standard output.
func command(name string, args ...string) []byte {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		check(fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out))
	}
	return out
}

func build(tmp string, stackCap int, flags []string) ([]target, []dumper) {
	module := strings.TrimSpace(string(command("go", "list", "-m", "-f", "{{.Dir}}")))
	cache, err := os.UserCacheDir()
	check(err)

	victim, err := victims.Build("gcc", "victim.c")
	check(err)
	libs, err := victims.BuildLibs(500)
	check(err)
	crowd := filepath.Join(tmp, "gocrowd")
	check(victims.BuildGo("gocrowd", crowd, runtime.GOARCH))
	targets := []target{
		{name: "idle 1", path: victim, args: []string{"idle", "1"}, spins: true},
		{name: "idle 20", path: victim, args: []string{"idle", "20"}, spins: true},
		{name: "idle 100", path: victim, args: []string{"idle", "100"}, spins: true},
		{name: "idle 1000", path: victim, args: []string{"idle", "1000"}, spins: true},
		{name: "maps 500", path: victim, args: []string{"maps", "500", libs}, spins: true},
		{name: "big 4 20", path: victim, args: []string{"big", "4", "20"}, spins: true, heavy: true},
		{name: "gocrowd 640 5", path: crowd, args: []string{"640", "5"}, heavy: true},
	}

	floor := filepath.Join(tmp, "floor")
	command("gcc", "-O2", "-o", floor, filepath.Join(module, "internal/bench/floor/floor.c"))
	ours := filepath.Join(tmp, "ours")
	command("go", "build", "-o", ours, "minidump/internal/bench")
	rust := filepath.Join(cache, "minidump-ci", "rustdump")
	command("cargo", "build", "--quiet", "--release", "--locked",
		"--manifest-path", filepath.Join(module, "internal/bench/rustwriter/Cargo.toml"), "--target-dir", rust)
	return targets, []dumper{
		{"floor", floor, func(pid int, out string) []string {
			return []string{strconv.Itoa(pid), "--names", "--mods", "--cap", strconv.Itoa(stackCap)}
		}, ""},
		{"reference", filepath.Join(rust, "release", "rustdump"), func(pid int, out string) []string {
			return []string{strconv.Itoa(pid), strconv.Itoa(pid), out}
		}, ""},
		{"ours", ours, func(pid int, out string) []string {
			return append([]string{strconv.Itoa(pid), strconv.Itoa(pid), out}, flags...)
		}, "--uncounted"},
	}
}

// victim is a running target.
type victim struct {
	cmd   *exec.Cmd
	lines *bufio.Reader
}

func start(t target, args ...string) *victim {
	cmd := exec.Command(t.path, append(slices.Clone(t.args), args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	v := &victim{cmd, bufio.NewReader(stdout)}
	if line := v.line(); !strings.HasPrefix(line, "ready ") {
		check(fmt.Errorf("%s printed %q", t.name, line))
	}
	return v
}

func (v *victim) line() string {
	line, err := v.lines.ReadString('\n')
	check(err)
	return line
}

func (v *victim) pid() int { return v.cmd.Process.Pid }

func (v *victim) stop() {
	v.cmd.Process.Kill()
	v.cmd.Wait()
}

// longestGap returns the longest time in nanoseconds for which a spinning victim did not run since the previous call.
func (v *victim) longestGap() int64 {
	check(v.cmd.Process.Signal(syscall.SIGUSR1))
	var n int
	var total, longest int64
	line := v.line()
	_, err := fmt.Sscanf(line, "gaps n=%d total_ns=%d max_ns=%d", &n, &total, &longest)
	check(err)
	return longest
}

func measure(t target, dumpers []dumper, rounds int, tmp string) []row {
	rows := make([]row, len(dumpers))
	for i, d := range dumpers {
		rows[i] = row{target: t.name, dumper: d.name, pauseNS: -1, feltNS: -1, allocs: -1, size: -1, syscalls: -1}
	}
	measureCost(t, dumpers, rounds, tmp, rows)
	if t.spins {
		measureFelt(t, dumpers, rounds, tmp, rows)
	}
	measureSyscalls(t, dumpers, tmp, rows)
	for i := range rows {
		r := &rows[i]
		floor, reference := rows[0], rows[1]
		r.nsOfFloor = ratio(r.ns, floor.ns)
		r.nsOfReference = ratio(r.ns, reference.ns)
		r.feltOfFloor = ratio(r.feltNS, floor.feltNS)
		r.feltOfReference = ratio(r.feltNS, reference.feltNS)
		r.sizeOfReference = ratio(r.size, reference.size)
		r.rssOfReference = ratio(r.hwmKB, reference.hwmKB)
	}
	return rows
}

func ratio(a, b int64) float64 {
	if a < 0 || b <= 0 {
		return -1
	}
	return float64(a) / float64(b)
}

// measureCost measures time, allocations, file size and memory. Ours makes its Writer once per run, before the first
// dump; the reference makes one for each dump, as its interface requires.
func measureCost(t target, dumpers []dumper, rounds int, tmp string, rows []row) {
	repeat, gapMS := 9, 20
	if t.heavy {
		rounds, repeat = 1, 3
	}
	v := start(t)
	defer v.stop()
	all := make([]run, len(dumpers))
	for range rounds {
		for i, d := range dumpers {
			n := repeat
			if t.heavy && d.name == "reference" {
				n = 1 // a dump takes up to 25 s and 6 GB
			}
			repeats := []string{"--repeat", strconv.Itoa(n), "--gap-ms", strconv.Itoa(gapMS)}
			out := filepath.Join(tmp, "out.dmp")
			r := dump(d, append(d.plain(v.pid(), out), repeats...))
			counted := r
			if d.uncounted != "" {
				counted = dump(d, append(d.args(v.pid(), out), repeats...))
			}
			os.Remove(out)
			all[i].ns = append(all[i].ns, r.ns...)
			all[i].pauseNS = append(all[i].pauseNS, r.pauseNS...)
			all[i].allocs = append(all[i].allocs, counted.allocs...)
			all[i].size = append(all[i].size, r.size...)
			all[i].hwmKB = max(all[i].hwmKB, r.hwmKB)
		}
	}
	for i, r := range all {
		rows[i].ns, rows[i].pauseNS = median(r.ns), median(r.pauseNS)
		rows[i].allocs, rows[i].size, rows[i].hwmKB = median(r.allocs), median(r.size), r.hwmKB
	}
}

// measureFelt measures the longest gap that the victim's busy main thread sees from the start of a dumper to the end of
// its first dump. It excludes the time that the dumper's exit takes on the victim's processor. The dumpers alternate,
// but on a heavy victim the reference runs last and once, because it keeps the machine busy for a while afterwards.
func measureFelt(t target, dumpers []dumper, rounds int, tmp string, rows []row) {
	v := start(t, "--spin")
	defer v.stop()
	out := filepath.Join(tmp, "out.dmp")
	felt := make([][]int64, len(dumpers))
	once := func(i int) {
		d := dumpers[i]
		cmd := exec.Command(d.path, append(d.plain(v.pid(), out), "--repeat", "1", "--gap-ms", "50")...)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		check(err)
		time.Sleep(20 * time.Millisecond)
		v.longestGap()
		check(cmd.Start())
		lines := bufio.NewReader(stdout)
		_, err = lines.ReadString('\n') // the dump is complete, and the dumper sleeps
		check(err)
		felt[i] = append(felt[i], v.longestGap())
		_, err = io.Copy(io.Discard, lines)
		check(err)
		check(cmd.Wait())
		os.Remove(out)
	}
	for range 3 * rounds {
		for i, d := range dumpers {
			if !t.heavy || d.name != "reference" {
				once(i)
			}
		}
	}
	if t.heavy {
		once(slices.IndexFunc(dumpers, func(d dumper) bool { return d.name == "reference" }))
	}
	for i := range felt {
		rows[i].feltNS = median(felt[i])
	}
}

// measureSyscalls counts the system calls of one dump: those of a run with several dumps minus those of a run with one.
// That excludes the calls of program start, whose number varies.
func measureSyscalls(t target, dumpers []dumper, tmp string, rows []row) {
	v := start(t)
	defer v.stop()
	report, out := filepath.Join(tmp, "strace"), filepath.Join(tmp, "out.dmp")
	calls := func(d dumper, dumps int) int64 {
		args := append([]string{"-f", "-c", "-o", report, d.path}, d.plain(v.pid(), out)...)
		command("strace", append(args, "--repeat", strconv.Itoa(dumps))...)
		os.Remove(out)
		return totalCalls(report)
	}
	for i, d := range dumpers {
		more := 8
		if t.heavy && d.name == "reference" {
			more = 1
		}
		one := calls(d, 1)
		rows[i].syscalls = (calls(d, 1+more) - one) / int64(more)
	}
}

// totalCalls parses the last line of strace -c: "100.00 seconds usecs calls [errors] total".
func totalCalls(report string) int64 {
	b, err := os.ReadFile(report)
	check(err)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) >= 5 && fields[len(fields)-1] == "total" {
			n, err := strconv.ParseInt(fields[3], 10, 64)
			check(err)
			return n
		}
	}
	check(fmt.Errorf("no total in strace's report:\n%s", b))
	return 0
}

// dump runs a dumper and parses its output: for each dump "dump K ns=N ... size=N", then "... hwm_kb=N".
func dump(d dumper, args []string) run {
	var r run
	for line := range strings.Lines(string(command(d.path, args...))) {
		for _, field := range strings.Fields(line) {
			key, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				continue
			}
			switch key {
			case "ns":
				r.ns = append(r.ns, n)
			case "pause_ns":
				r.pauseNS = append(r.pauseNS, n)
			case "allocs":
				r.allocs = append(r.allocs, n)
			case "size":
				r.size = append(r.size, n)
			case "hwm_kb":
				r.hwmKB = n
			}
		}
	}
	if len(r.ns) == 0 {
		check(fmt.Errorf("%s printed no dump", d.name))
	}
	return r
}

func median(values []int64) int64 {
	if len(values) == 0 {
		return -1
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func printTable(w io.Writer, rows []row) {
	version, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(w, "%s, %d processors (%s), Linux %s, %s.\n\n", time.Now().Format("2006-01-02"), runtime.NumCPU(), processor(),
		strings.TrimSpace(string(version)), runtime.Version())
	fmt.Fprintln(w, "Medians. Pause: the longest gap that the busy main thread of the victim saw during a dump; in brackets what the "+
		"dumper itself measured. System calls: of each further dump.")
	fmt.Fprintln(w)
	fmt.Fprintln(w, "| victim | dumper | time, ms | × floor | × reference | pause, ms | × floor | × reference | allocations | peak RSS, MB | × reference | size, KB | × reference | system calls |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range rows {
		pause := scaled(r.feltNS, 1e6)
		if r.pauseNS >= 0 {
			pause += " (" + scaled(r.pauseNS, 1e6) + ")"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.target, r.dumper,
			scaled(r.ns, 1e6), times(r.nsOfFloor), times(r.nsOfReference), pause, times(r.feltOfFloor), times(r.feltOfReference),
			scaled(r.allocs, 1), scaled(r.hwmKB, 1024), times(r.rssOfReference), scaled(r.size, 1024), times(r.sizeOfReference),
			scaled(r.syscalls, 1))
	}
}

// scaled formats n / unit with three significant figures, or in full if it is a whole number.
func scaled(n int64, unit float64) string {
	switch v := float64(n) / unit; {
	case n < 0:
		return "-"
	case unit == 1 || v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func times(ratio float64) string {
	if ratio < 0 {
		return "-"
	}
	return strconv.FormatFloat(ratio, 'f', 2, 64)
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
