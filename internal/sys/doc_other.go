//go:build !linux

// Package sys is empty where the system is not Linux.
package sys
