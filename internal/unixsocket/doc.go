// Package unixsocket listens at sockets of the Unix domain. Package net has the same, but makes the go command use cgo where
// there is a C compiler, and so a program that asks for glibc.
package unixsocket
