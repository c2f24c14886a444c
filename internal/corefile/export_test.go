package corefile

// Bounds that the tests check.
const (
	MaxImageReads = maxImageReads
	MaxName       = maxName
)

// NumNotes returns how many notes of the file are kept.
func (c *Notes) NumNotes() int { return c.notes.N }
