//go:build !windows

package main

import "minidump"

// platformFlags are the flags of dump that one system alone has: Windows.
type platformFlags struct{}

func (*platformFlags) register(*flagSet) {}

func (*platformFlags) crash(*minidump.Writer, int, *minidump.Options) error { return nil }

func (*platformFlags) dump(int, *writerFlags) (done bool, err error) { return false, nil }
