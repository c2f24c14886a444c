//go:build cgo

package main

import "C" // with CGO_ENABLED=1 this is a program with libc and the C runtime's threads
