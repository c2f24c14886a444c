package sys

const (
	alignedPair = false
	bigEndian   = false
)
