package sys

import "runtime"

// OnOwnThread runs f on a new goroutine, with nothing else on its OS thread. That ends with f, unless f returns true: then it
// is left to other goroutines.
//
// The runtime looks for the name of a goroutine's first function, and walks the stack of the one that first locks a
// thread, in tables of 64 KB and more. Those of this package lie among the runtime's own, which are in memory already.
func OnOwnThread(f func() (leave bool)) {
	go func() {
		runtime.LockOSThread()
		if f() {
			runtime.UnlockOSThread()
		}
	}()
}
