//go:build !linux

package encode

// errnoText returns the same text for every number: the numbers in soft errors are Linux's, and this system has no texts for them.
func errnoText(int32) string { return "error" }
