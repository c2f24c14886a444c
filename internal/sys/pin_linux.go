package sys

import _ "unsafe" // for go:linkname

// Pin keeps the calling goroutine on its processor (GOMAXPROCS) until Unpin: the scheduler does not deschedule it, and a
// stop-the-world of the garbage collector waits for it. Until then the goroutine may use only the raw gate: no blocking
// gate, channel, lock or allocation, each of which can end in "fatal error: schedule: holding locks". Pins nest.
//
// The runtime keeps the names runtime.procPin and procUnpin for other packages (see the comments there).
func Pin() { procPin() }

// Unpin undoes one Pin.
func Unpin() { procUnpin() }

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
