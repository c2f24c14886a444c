// Package hook has what other packages add to the monitor of package crash when a program imports them. It owns no memory and
// calls nothing.
package hook

// Frames is set by package crash/frames while the program is initialised; nil: it is not linked. It finds the frames of the dump at
// a path, adds them to it, and returns what there is to print: the signature, and a line for each frame of the crashed thread. It
// ends within some seconds, whatever the files are.
var Frames func(path string) (signature string, lines []string)
