package sys

const (
	alignedPair = true
	bigEndian   = true
)
