package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit statuses.
const (
	exitPassed = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := os.Stat("go.mod"); err != nil {
		fmt.Fprintln(os.Stderr, "gate: run it in the root of the module:", err)
		return exitUsage
	}
	if len(args) > 0 && args[0] == "test" {
		return test(ctx, args[1:])
	}
	chosen, err := choose(stages(), args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return exitUsage
	}
	g, err := newGate(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		return exitUsage
	}
	report := &report{out: os.Stdout}
	schedule(chosen, processors, func(s *stage) { report.stage(g.run(s)) })
	if report.total.Failed == 0 {
		os.RemoveAll(g.logs)
	} else {
		fmt.Println("logs:", g.logs)
	}
	return report.end()
}

// test runs go test in this environment, unchanged, and reports what was skipped.
func test(ctx context.Context, args []string) int {
	if len(args) == 0 {
		args = []string{"./..."}
	}
	var t tally
	err := goTest(ctx, &t, nil, nil, printer{os.Stdout}, args...)
	fmt.Print(t.skips())
	if err != nil && t.Failed == 0 {
		fmt.Println("go test:", err)
		t.Failed++
	}
	r := &report{out: os.Stdout, total: t.counts}
	return r.end()
}

// duration formats an elapsed time for the report.
func duration(d time.Duration) string { return fmt.Sprintf("%6.1fs", d.Seconds()) }
