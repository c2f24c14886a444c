//go:build !linux

package main

// lowerPriority does nothing: the gate runs on Linux only.
func lowerPriority() {}
