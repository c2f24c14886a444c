package sys

const (
	alignedPair = true
	bigEndian   = false
)
