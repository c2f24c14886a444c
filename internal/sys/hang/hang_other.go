//go:build !linux

// Package hang is empty where the system is not Linux.
package hang
