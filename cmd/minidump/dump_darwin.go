package main

import "minidump"

func newWriter(pid int, o minidump.Options) (*minidump.Writer, error) {
	return minidump.NewWriter(pid, o)
}
