//go:build linux

package victims

import (
	"fmt"
	"slices"
	"testing"
)

// endsEarly are the system calls of calls.c that return EINTR after every stop (see Writer.Dump).
var endsEarly = []string{"epoll_wait", "sigtimedwait", "recv-timeout", "semtimedop"}

// CheckCalls asks a process of calls.c how its system calls have ended: all as they must, except that a few kinds may have ended
// with EINTR. It returns how many calls of each kind have ended.
func CheckCalls(t testing.TB, p *Proc) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for p.Go(t); ; {
		line := p.Line(t)
		if line == "" {
			return counts
		}
		var name string
		var count, interrupted, wrong, last int
		var took float64
		if _, err := fmt.Sscan(line, &name, &count, &interrupted, &wrong, &last, &took); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if wrong > 0 || interrupted > 0 && !slices.Contains(endsEarly, name) {
			t.Errorf("%s: of %d calls %d ended with EINTR and %d had another result than they must, or ended too early, at last %d after %v ms",
				name, count, interrupted, wrong, last, took)
		}
		counts[name] = count
	}
}
