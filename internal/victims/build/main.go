//go:build linux

// Build builds the victims for a machine without compilers.
//
//	go run ./internal/victims/build GOARCH DIR
package main

import (
	"fmt"
	"os"

	"minidump/internal/victims"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: build GOARCH DIR")
		os.Exit(2)
	}
	if err := victims.Prebuild(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}
