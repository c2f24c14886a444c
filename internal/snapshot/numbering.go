package snapshot

// A Numbering says what the numbers of soft errors are, where they are not this system's error numbers.
type Numbering interface {
	// Text returns the number in words. It does not allocate for the known ones.
	Text(number int32) string
	// Err returns the number as an error.
	Err(number int32) error
}
