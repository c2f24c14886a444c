//go:build !linux

package main

import "minidump"

// watchdog watches nothing here: it is for Linux, where reads of a live process can hang.
type watchdog struct{}

func startWatchdog(*minidump.Options) *watchdog { return nil }

func (*watchdog) writing(*minidump.Options, *output) {}

func (*watchdog) stop() {}
