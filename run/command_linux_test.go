package run

import (
	stdcontext "context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump"
	"minidump/internal/victims"
)

// TestRunContext checks that the end of the context ends the command with the requested signal, and checks the result.
func TestRunContext(t *testing.T) {
	why := errors.New("too slow")
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		want   syscall.Signal
		dumps  int
	}{
		{"SIGKILL", 0, syscall.SIGKILL, 0},
		{"SIGTERM", syscall.SIGTERM, syscall.SIGTERM, 0},
		{"SIGABRT leaves a dump", syscall.SIGABRT, syscall.SIGABRT, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			sleep := victims.Tool(t, "sleep")
			ctx, cancel := stdcontext.WithCancelCause(t.Context())
			defer cancel(nil)
			pid := 0
			r, err := Command(ctx, []string{sleep, "60"}, Options{
				Output: t.TempDir() + "/", CancelSignal: c.signal, Dump: minidump.Options{StopTimeout: 5 * time.Second},
				OnStart: func(id int) {
					pid = id
					if err := syscall.Kill(id, 0); err != nil {
						t.Errorf("process %d: %v", id, err)
					}
					time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
				},
			})
			if !errors.Is(err, why) || !strings.Contains(err.Error(), "run "+sleep) {
				t.Errorf("error %v", err)
			}
			if r.Unwatched != nil {
				t.Skip(r.Unwatched)
			}
			if r.PID != pid || pid == 0 || r.Signal != c.want || len(r.Dumps) != c.dumps {
				t.Errorf("process %d: %+v", pid, r)
			}
		})
	}
}

func TestRunContextEnded(t *testing.T) {
	ctx, cancel := stdcontext.WithCancel(t.Context())
	cancel()
	_, err := Command(ctx, []string{"true"}, Options{OnStart: func(int) { t.Error("it was started") }})
	var start *StartError
	if !errors.As(err, &start) || !errors.Is(err, stdcontext.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestRunContextUnused checks that a context that ends after the command causes no error.
func TestRunContextUnused(t *testing.T) {
	ctx, cancel := stdcontext.WithTimeout(t.Context(), time.Minute)
	r, err := Command(ctx, []string{victims.Tool(t, "true")}, Options{})
	cancel()
	if err != nil || r.Status() != 0 {
		t.Errorf("%v, %v", r, err)
	}
}

func TestResultString(t *testing.T) {
	for _, c := range []struct {
		r    Result
		want string
	}{
		{Result{PID: 7}, "process 7: exit status 0"},
		{Result{PID: 7, ExitCode: 2, Unwatched: os.ErrPermission}, "process 7: exit status 2; not watched: permission denied"},
		{Result{PID: 7, Signal: syscall.SIGSEGV, Dumps: []Dump{
			{PID: 7, TID: 8, Name: "a", Signal: syscall.SIGSEGV, Path: "/x.dmp"},
			{PID: 9, TID: 9, Name: "b", ExitCode: 3, Err: os.ErrNotExist},
		}}, "process 7: SIGSEGV; a (process 7, thread 8): SIGSEGV: wrote /x.dmp; " +
			"b (process 9, thread 9): exit status 3: no dump: file does not exist"},
	} {
		if got := c.r.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
