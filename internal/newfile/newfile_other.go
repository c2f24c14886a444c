//go:build !linux

package newfile

import "os"

func unnamed(string) *os.File { return nil }

func (f *File) link() error { panic("newfile: a file without a name") }
