//go:build !linux

package main

import "minidump"

// watchdog does nothing here: only on Linux can reads of a live process hang.
type watchdog struct{}

func startWatchdog(*minidump.Options) *watchdog { return nil }

func (*watchdog) writing(*minidump.Options, *output) {}

func (*watchdog) stop() {}
