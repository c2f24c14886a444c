package server

import (
	"errors"
	"time"

	"minidump"
	"minidump/context"
)

// Protocol is how a client requests a dump.
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
	DefaultAtOnce      = 4    // dumps made at the same time
	DefaultConnections = 1024 // connections at a time
	DefaultPerProcess  = 16   // dumps of one process on one connection
	maxPerProcess      = 16   // connections of one process at a time
	maxPacket          = 256 << 10
)

// Errors of a Server. Errors that functions return or hooks receive wrap these.
var (
	ErrUnsupported = minidump.ErrUnsupported
	ErrClosed      = errors.New("server is shut down")
	ErrProtocol    = errors.New("bad message")
	ErrRefused     = errors.New("refused")
	ErrFull        = errors.New("limit reached")
)

// Peer is a process at the other end of a connection, as the kernel reports it.
type Peer struct {
	PID      int    // in this process's pid namespace; 0: the process is not visible from there
	UID, GID uint32 // not on Windows
	SID      string // on Windows: the security identifier of the user, as S-1-5-18
}

// Dump is an attempt to write a dump.
type Dump struct {
	Peer     Peer
	Protocol Protocol
	Name     string          // the process's name; "" if the process could not be opened
	Crash    *context.Crash  // the crash according to the client; nil: the client only requested a dump, or its data could not be parsed
	Path     string          // of the file; "" if Err is not nil
	Result   minidump.Result // SoftErrors may be called on it only in OnDump. Stopped is 0 if only Crash has registers
	Err      error
}

// Options of a Server. Hooks may be nil. They are called on the goroutines of connections, several at a time, and delay
// only their own client.
type Options struct {
	// Dir is the folder of the dumps. Only the server's user should be able to write to it.
	Dir string
	// Dump has the options of the dumps. The server sets Thread and Crash.
	Dump minidump.Options

	AtOnce      int    // maximum of dumps at the same time, others wait; 0: DefaultAtOnce
	Connections int    // maximum of connections of Serve; any user except the server's own may have half of them; 0: DefaultConnections
	PerProcess  int    // maximum of dumps of one process on one connection; 0: DefaultPerProcess
	Keep        int    // maximum of dumps in Dir, the oldest are removed; 0: no limit. Those with names by FileName are not counted
	KeepFree    uint64 // bytes of the file system that dumps must leave free: the oldest are removed, or no dump is made; 0: no limit

	// Allow reports whether a process may connect and be dumped. nil allows processes of the server's own user.
	Allow func(Peer) bool
	// FileName returns the name of a dump in Dir for a process named name. It must not contain a slash. A number is
	// added to a name that is already used. nil: NAME.PID.TIME.dmp, with unusual characters of NAME replaced.
	FileName func(p Peer, name string) string

	OnConnect    func(Peer)                                // a client of Serve has connected
	OnDisconnect func(Peer)                                // a client of Serve has disconnected
	OnMessage    func(p Peer, kind uint32, message []byte) // a user message of a minidumper client; message is valid during the call
	OnDump       func(Dump)                                // a dump was written, or failed; the client waits until OnDump returns
	OnError      func(Peer, error)                         // a client was refused, or its connection ended with an error

	// OnStuck is called, on its own goroutine, when a dump takes longer than DumpTimeout because a system call hangs, such as a
	// read that a file server never answers. Nothing in this process can cancel that call, and the client stays stopped until
	// this process ends. If OnStuck can't be called, because dumps occupy all processors, the kernel kills this process a second
	// later.
	OnStuck     func(Peer)
	DumpTimeout time.Duration // 0: a minute, or half an hour in mode full
}
