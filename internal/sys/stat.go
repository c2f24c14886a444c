package sys

import "bytes"

// SplitStat splits the text of /proc/PID/stat or /proc/PID/task/TID/stat, "TID (NAME) STATE PPID ...", into the name and the
// part that begins with the state letter. NAME may contain anything, including blanks, parentheses and newlines, so it ends
// at the last parenthesis. Both results point into b.
func SplitStat(b []byte) (name, fields []byte, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 2 || b[open-1] != ' ' || end <= open || end+3 > len(b) || b[end+1] != ' ' {
		return nil, nil, false
	}
	return b[open+1 : end : end], b[end+2:], true
}
