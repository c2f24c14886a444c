//go:build linux && !amd64 && !arm64

package crash

import "os"

// These architectures have no handler for C threads.

const holdEnd = noteSize

type holdPage struct {
	tid            uint32
	info, ucontext uint64
}

func hold(*os.File) {}

func heldThread(*os.File) *holdPage { return nil }

func (p *holdPage) letGo() {}

func (p *holdPage) String() string { return "" }
