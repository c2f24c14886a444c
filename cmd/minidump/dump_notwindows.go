//go:build !windows

package main

import "minidump"

// platformFlags has the flags of dump that exist on only one system. All of them are for Windows.
type platformFlags struct{}

func (*platformFlags) register(*flagSet) {}

func (*platformFlags) crash(*minidump.Writer, int, *minidump.Options) error { return nil }

func (*platformFlags) dump(int, *writerFlags) (done bool, err error) { return false, nil }
