//go:build linux || darwin

package server

import (
	"os"
	"syscall"
)

// userID is a user as the kernel numbers it.
type userID = uint32

func ownUser() (userID, error) { return uint32(os.Geteuid()), nil }

func (p *Peer) user() userID { return p.UID }

// maxDescriptors returns how many files this process can have open.
func maxDescriptors() (n uint64, ok bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err == nil
}
