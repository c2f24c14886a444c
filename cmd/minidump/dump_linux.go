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

// processName is the name that the process gave itself; "" if it is gone.
func processName(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(b), "\n")
}
