//go:build !linux

package minidump

import "io"

// keeper exists on Linux only: here every dump is made in this process.
type keeper struct{ o Options }

func (*keeper) dump(w *Writer, dst io.Writer, r *Result) error { return w.dumpHere(dst, r) }
