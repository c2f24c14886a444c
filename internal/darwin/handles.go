package darwin

import (
	"net/netip"
	"strconv"

	"minidump/mach"
)

var fdTypes = [...]string{
	mach.PROX_FDTYPE_ATALK: "AppleTalk", mach.PROX_FDTYPE_VNODE: "File", mach.PROX_FDTYPE_SOCKET: "Socket",
	mach.PROX_FDTYPE_PSHM: "SharedMemory", mach.PROX_FDTYPE_PSEM: "Semaphore", mach.PROX_FDTYPE_KQUEUE: "KQueue",
	mach.PROX_FDTYPE_PIPE: "Pipe", mach.PROX_FDTYPE_FSEVENTS: "FSEvents", mach.PROX_FDTYPE_NETPOLICY: "NetPolicy",
	mach.PROX_FDTYPE_CHANNEL: "Channel", mach.PROX_FDTYPE_NEXUS: "Nexus",
}

// fdType returns the name of a kind of descriptor, or "" if it has none here.
func fdType(t uint32) string {
	if int64(t) < int64(len(fdTypes)) {
		return fdTypes[t]
	}
	return ""
}

// appendSocket appends the endpoints of an internet socket to b, as in "tcp 127.0.0.1:80 > 127.0.0.1:5000", and
// nothing for other kinds of socket.
func appendSocket(b []byte, s *mach.SocketFDInfo) []byte {
	switch s.Kind {
	case mach.SOCKINFO_TCP:
		b = append(b, "tcp "...)
	case mach.SOCKINFO_IN:
		b = append(b, "udp "...)
	default:
		return b
	}
	b = appendEnd(b, s.VFlag, s.Local, s.LocalPort)
	if s.ForeignPort != [4]byte{} {
		b = appendEnd(append(b, " > "...), s.VFlag, s.Foreign, s.ForeignPort)
	}
	return b
}

func appendEnd(b []byte, vflag uint8, addr [16]byte, port [4]byte) []byte {
	a := netip.AddrFrom16(addr)
	if vflag&mach.INI_IPV6 == 0 {
		a = netip.AddrFrom4([4]byte(addr[12:]))
	}
	if a.Is6() {
		b = append(a.AppendTo(append(b, '[')), ']')
	} else {
		b = a.AppendTo(b)
	}
	return strconv.AppendUint(append(b, ':'), uint64(port[0])<<8|uint64(port[1]), 10)
}
