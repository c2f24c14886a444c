//go:build !linux

package minidump

import "io"

// keeper is of Linux.
type keeper struct{ o Options }

func (*keeper) dump(w *Writer, dst io.Writer) (Result, error) { return w.dumpHere(dst) }
