package run_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"minidump"
	"minidump/run"
)

// Run a command that crashes, and keep no more than ten dumps.
func ExampleCommand() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)

	r, err := run.Command(context.Background(), []string{"sh", "-c", "kill -SEGV $$"}, run.Options{
		Output: dir + "/", // one file for each dump
		Keep:   10,
		Dump:   minidump.Options{Limit: 1 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	if r.Unwatched != nil {
		log.Print("no dump could be made: ", r.Unwatched)
	}
	for _, d := range r.Dumps {
		if d.Err != nil {
			log.Print("no dump was made: ", d.Err)
		}
		fmt.Printf("%s: %s\n", d.Name, d.Reason())
	}
	fmt.Println("exit status:", r.Status())
	// Output:
	// sh: SIGSEGV
	// exit status: 139
}

// End a command that takes too long. The dump shows where it was.
func ExampleCommand_timeout() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()

	r, err := run.Command(ctx, []string{"sleep", "60"}, run.Options{
		Output:       dir + "/",
		CancelSignal: syscall.SIGABRT,
		OnStart:      func(pid int) { log.Print("process ", pid) },
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded), r.Signal, "dumps:", len(r.Dumps))
	// Output: true aborted dumps: 1
}
