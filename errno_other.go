//go:build !linux

package minidump

// The numbers in soft errors are Linux's, which another system has no words for.
func errnoText(int32) string { return "error" }
