// Package unixsocket listens on sockets of the Unix domain. Package net does too, but makes the go command use cgo if there
// is a C compiler, which results in a program that requires glibc.
package unixsocket
