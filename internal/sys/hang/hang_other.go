//go:build !linux

// Package hang is empty on systems other than Linux.
package hang
