package main

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// spans runs stages that last some seconds each and returns when each started and ended.
func spans(t *testing.T, capacity int, seconds map[string]int, list []*stage) map[string][2]int {
	t.Helper()
	got := map[string][2]int{}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		schedule(list, capacity, func(s *stage) {
			began := time.Since(start)
			time.Sleep(time.Duration(seconds[s.name]) * time.Second)
			mu.Lock()
			defer mu.Unlock()
			got[s.name] = [2]int{int(began.Seconds()), int(time.Since(start).Seconds())}
		})
	})
	return got
}

func TestSchedule(t *testing.T) {
	seconds := map[string]int{"tools": 10, "setup": 25, "unit": 10, "vm-a": 20, "vm-b": 25, "late": 10, "fuzz": 10, "last": 5}
	got := spans(t, 2, seconds, []*stage{
		{name: "tools", processors: 1},
		{name: "setup", processors: 1},
		{name: "unit", after: []string{"tools", "absent"}}, // uses all processors
		{name: "vm-a", processors: 1, after: []string{"setup"}},
		{name: "vm-b", processors: 1, after: []string{"setup"}},
		{name: "late", processors: 1, after: []string{"vm-a"}},
		{name: "fuzz", processors: 9}, // requires more than there are: uses all
		{name: "last", processors: 1},
	})
	want := map[string][2]int{
		"tools": {0, 10}, "setup": {0, 25},
		"unit": {25, 35}, // alone, and the stages after it wait
		"vm-a": {35, 55}, "vm-b": {35, 60},
		"late": {55, 65},
		"fuzz": {65, 75}, // not overtaken by last, for which there was room at 60
		"last": {75, 80},
	}
	if !maps.Equal(got, want) {
		t.Errorf("stages ran at %v, want %v", got, want)
	}
}

// TestScheduleCrashes checks that stages in which programs crash run one after the other, and others beside them.
func TestScheduleCrashes(t *testing.T) {
	seconds := map[string]int{"unit": 10, "386": 20, "vet": 5, "vm": 30, "newcomer": 10}
	got := spans(t, 2, seconds, []*stage{
		{name: "unit", processors: 1, crashes: true},
		{name: "386", processors: 1, crashes: true},
		{name: "vet", processors: 1},
		{name: "vm", processors: 1},
		{name: "newcomer", crashes: true},
	})
	want := map[string][2]int{
		"unit": {0, 10}, "386": {10, 30},
		"vet": {0, 5}, "vm": {5, 35},
		"newcomer": {35, 45}, // all processors
	}
	if !maps.Equal(got, want) {
		t.Errorf("stages ran at %v, want %v", got, want)
	}
}

// TestScheduleOneProcessor checks that stages that require more processors than there are run.
func TestScheduleOneProcessor(t *testing.T) {
	seconds := map[string]int{"a": 1, "b": 1, "c": 1}
	got := spans(t, 1, seconds, []*stage{{name: "a"}, {name: "b", processors: 1}, {name: "c", processors: 2}})
	if want := map[string][2]int{"a": {0, 1}, "b": {1, 2}, "c": {2, 3}}; !maps.Equal(got, want) {
		t.Errorf("stages ran at %v, want %v", got, want)
	}
}

func TestChoose(t *testing.T) {
	names := func(args ...string) []string {
		t.Helper()
		list, err := choose(stages(), args)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range list {
			names = append(names, s.name)
		}
		return names
	}
	if got := names("--quick"); !slices.Equal(got, append([]string{"debian"}, quick...)) {
		t.Errorf("--quick is %q", got)
	}
	if got := names("vm"); len(got) != len(machines)+3 || !slices.Equal(got[:4], []string{"debian", "tools", "vm-setup", "vm-arm64"}) {
		t.Errorf("vm is %q", got)
	}
	if got, want := names("unit", "gofmt"), []string{"debian", "tools", "gofmt", "unit"}; !slices.Equal(got, want) {
		t.Errorf("two stages: %q, want %q", got, want)
	}
	var want []string
	for _, s := range stages() {
		if s.name != "vet-host" && !s.byName {
			want = append(want, s.name)
		}
	}
	if got := names(); !slices.Equal(got, want) || len(got) < 20 {
		t.Errorf("all stages: %q, want %q", got, want)
	}
	if _, err := choose(stages(), []string{"nosuch"}); err == nil {
		t.Error("a stage that is not there was taken")
	}
}

// TestStageTable checks that names are unique and that no stage waits for one that does not exist.
func TestStageTable(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range stages() {
		if seen[s.name] {
			t.Errorf("two stages are called %s", s.name)
		}
		for _, name := range s.after {
			if !seen[name] {
				t.Errorf("%s comes after %s, which is not above it in the table", s.name, name)
			}
		}
		seen[s.name] = true
	}
}
