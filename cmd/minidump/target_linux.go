package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// named returns the processes with a name, ordered by id. The name is compared with comm, which has at most 15 bytes, and
// with the last part of the program's path. This process and kernel threads are not in the list.
func named(name string) (list []process, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		arguments, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(arguments) == 0 { // ended, or a kernel thread
			continue
		}
		exe, _ := os.Readlink(filepath.Join(dir, "exe"))
		if processName(pid) != name && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) != name {
			continue
		}
		line := strings.ReplaceAll(strings.TrimRight(string(arguments), "\x00"), "\x00", " ")
		list = append(list, process{pid, line})
	}
	slices.SortFunc(list, func(a, b process) int { return a.pid - b.pid })
	return list, nil
}
