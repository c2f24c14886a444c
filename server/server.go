package server

import (
	"errors"
	"time"

	"minidump"
	"minidump/context"
)

// Protocol is how a client asks for a dump.
type Protocol uint8

// The protocols.
const (
	Minidumper Protocol = iota
	Breakpad
	Crashpad
)

// String returns "minidumper", "breakpad" or "crashpad".
func (p Protocol) String() string {
	switch p {
	case Minidumper:
		return "minidumper"
	case Breakpad:
		return "breakpad"
	case Crashpad:
		return "crashpad"
	}
	return "unknown"
}

// Defaults and bounds of Options.
const (
	DefaultAtOnce      = 4    // dumps that are made at a time
	DefaultConnections = 1024 // connections at a time
	DefaultPerProcess  = 16   // dumps of one process on one connection
	maxPerProcess      = 16   // connections of one process at a time
	maxPacket          = 256 << 10
)

// Errors of a Server. What hooks and functions receive or return wraps them.
var (
	ErrUnsupported = minidump.ErrUnsupported
	ErrClosed      = errors.New("server is shut down")
	ErrProtocol    = errors.New("bad message")
	ErrRefused     = errors.New("refused")
	ErrFull        = errors.New("no room for more")
)

// Peer is a process at the other end of a connection, as the kernel states it.
type Peer struct {
	PID      int    // in this process's pid namespace; 0: it is in none below that
	UID, GID uint32 // not on Windows
	SID      string // on Windows: the security identifier of the user, as S-1-5-18
}

// Dump is an attempt to write a dump.
type Dump struct {
	Peer     Peer
	Protocol Protocol
	Name     string          // the process's name; "" if it could not be opened
	Crash    *context.Crash  // what the client said of the crash; nil: it only asked for a dump, or what it said could not be read
	Path     string          // of the file; "" if Err is not nil
	Result   minidump.Result // SoftErrors can be called on it in OnDump only. Stopped is 0 if only Crash has registers
	Err      error
}

// Options of a Server. Hooks may be nil. They are called on the goroutines of connections, several at a time, and delay
// only the client that they are about.
type Options struct {
	// Dir is the folder of the dumps. Only the server's user should be able to write to it.
	Dir string
	// Dump has the options of the dumps. Thread and Crash are the server's to set.
	Dump minidump.Options

	AtOnce      int    // most dumps at a time, others wait; 0: DefaultAtOnce
	Connections int    // most connections of Serve at a time; a user other than the server's may have half of them; 0: DefaultConnections
	PerProcess  int    // most dumps of one process on one connection; 0: DefaultPerProcess
	Keep        int    // most dumps in Dir, the oldest are removed; 0: no limit. Those with names by FileName are not counted
	KeepFree    uint64 // least bytes of the file system that dumps leave free: the oldest go for it, or no dump is made; 0: no limit

	// Allow reports whether a process may connect and be dumped. nil allows those of the server's own user.
	Allow func(Peer) bool
	// FileName returns the name of a dump in Dir for a process named name. It must not contain a slash. A name that is
	// taken gets a number. nil: NAME.PID.TIME.dmp, with unusual characters of NAME replaced.
	FileName func(p Peer, name string) string

	OnConnect    func(Peer)                                // a client of Serve has connected
	OnDisconnect func(Peer)                                // and is gone
	OnMessage    func(p Peer, kind uint32, message []byte) // a user message of a minidumper client; message is valid during the call
	OnDump       func(Dump)                                // a dump was written or not; the client waits until it returns
	OnError      func(Peer, error)                         // a client was refused, or its connection ended by an error

	// OnStuck is called, on a goroutine of its own, when a dump takes longer than DumpTimeout: a system call hangs, as
	// a read does that a file server never answers. Nothing in this process can take that back, and the client stands until
	// this process ends. If OnStuck can't be called, as dumps hold all processors, the kernel kills this process a second later.
	OnStuck     func(Peer)
	DumpTimeout time.Duration // 0: a minute, or half an hour in mode full
}
