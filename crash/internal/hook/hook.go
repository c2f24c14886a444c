// Package hook has the functions that other packages add to the monitor of package crash when a program imports them. It owns
// no memory and calls nothing.
package hook

// Frames is set by package crash/frames during initialisation; nil: that package is not linked. It finds the frames of the dump at
// a path, adds them to the dump, and returns what to print: the signature, and a line for each frame of the crashed thread. It
// returns within some seconds, whatever the files contain.
var Frames func(path string) (signature string, lines []string)
