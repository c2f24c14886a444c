package main

import (
	"os"
	"strconv"
	"strings"

	"minidump"
)

func newWriter(pid int, o minidump.Options) (*minidump.Writer, error) {
	return minidump.NewWriter(pid, o)
}

// processName returns the name of the process's main thread, or "" if the process has ended.
func processName(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(b), "\n")
}
