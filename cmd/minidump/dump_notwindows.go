//go:build !windows

package main

import "minidump"

// platformFlags has the flags of dump that exist on one system only. All of them are of Windows.
type platformFlags struct{}

func (*platformFlags) register(*flagSet) {}

func (*platformFlags) crash(*minidump.Writer, int, *minidump.Options) error { return nil }

func (*platformFlags) dump(int, *writerFlags) (done bool, err error) { return false, nil }
