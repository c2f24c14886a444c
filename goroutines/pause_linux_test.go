package goroutines_test

import (
	"io"
	"testing"
	"time"

	"minidump"
	"minidump/internal/goruntime"
	"minidump/internal/victims"
)

// BenchmarkPause measures what the goroutines add to the time that a process is stopped, and to the whole dump.
func BenchmarkPause(b *testing.B) {
	for _, c := range []struct {
		name, program string
		args          []string
	}{
		{"gosleep-100", "gosleep", []string{"100"}}, {"gosleep-10000", "gosleep", []string{"10000"}}, {"gocrowd-4", "gocrowd", []string{"4", "4"}},
	} {
		for _, list := range []string{"without", "with"} {
			b.Run(c.name+"/"+list, func(b *testing.B) {
				v := victims.Start(b, victims.Go(b, c.program), c.args...)
				if hook := goruntime.NewLister; list == "without" {
					goruntime.NewLister = nil
					defer func() { goruntime.NewLister = hook }()
				}
				w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second})
				if err != nil {
					b.Fatal(err)
				}
				defer w.Close()
				least := time.Hour
				for b.Loop() {
					r, err := w.Dump(io.Discard)
					if err != nil {
						b.Fatal(err)
					}
					least = min(least, r.Pause)
				}
				b.ReportMetric(float64(least.Microseconds()), "least-pause-µs")
			})
		}
	}
}
