package server

import (
	"fmt"
	"time"

	"minidump"
	"minidump/internal/deadline"
	"minidump/mach"
)

// The message by which a client of minidumper requests its dump (crash-context 0.6 to 0.8, src/mac/ipc.rs): id 0, descriptors of the
// task, of the crashed thread, of the thread that handles the crash and of the port for the answer @28, u32 flags @76, u32 exception
// @80, u64 code @84, u64 subcode @92. The answer, of id 0, has a u32 @24, and the client waits five seconds for it.
const (
	requestID    = 0
	requestPorts = 4
	requestFlags = mach.HeaderSize + 4 + requestPorts*mach.PortDescriptorSize
	requestSize  = requestFlags + 24
	answerSize   = mach.HeaderSize + 4

	hasException = 1
	hasSubcode   = 2

	wakeID = 0x6d640003 // of the message with which Close wakes the service
)

// request is the contents of a client's request message. The message owns the rights.
type request struct {
	Task, Thread, Handler, Answer mach.Port
	Crashed                       bool
	Exception                     mach.ExceptionType
	Codes                         []uint64
}

// parseRequest parses a message. ok is false if it is not a request.
func parseRequest(m []byte) (r request, ok bool) {
	h, ok := mach.GetHeader(m)
	if !ok || h.ID != requestID || !h.Complex() || h.Size != requestSize || order.Uint32(m[mach.HeaderSize:]) != requestPorts {
		return r, false
	}
	for i, p := range []*mach.Port{&r.Task, &r.Thread, &r.Handler, &r.Answer} {
		if *p, _, ok = mach.GetPortDescriptor(m[mach.HeaderSize+4+i*mach.PortDescriptorSize:]); !ok {
			return r, false
		}
	}
	b := m[requestFlags:]
	flags := order.Uint32(b)
	r.Crashed, r.Exception = flags&hasException != 0, mach.ExceptionType(order.Uint32(b[4:]))
	r.Codes = []uint64{order.Uint64(b[8:]), order.Uint64(b[16:])}
	if flags&hasSubcode == 0 {
		r.Codes = r.Codes[:1]
	}
	return r, true
}

// put encodes the message to the service into m.
func (r *request) put(m *[requestSize]byte, service mach.Port) {
	h := mach.Header{Bits: mach.Bits(mach.MACH_MSG_TYPE_COPY_SEND, 0) | mach.MACH_MSGH_BITS_COMPLEX, Size: requestSize,
		Remote: service, ID: requestID}
	h.Put(m[:])
	order.PutUint32(m[mach.HeaderSize:], requestPorts)
	for i, p := range []mach.Port{r.Task, r.Thread, r.Handler, r.Answer} {
		mach.PutPortDescriptor(m[mach.HeaderSize+4+i*mach.PortDescriptorSize:], p, mach.MACH_MSG_TYPE_COPY_SEND)
	}
	b := m[requestFlags:]
	clear(b)
	if !r.Crashed {
		return
	}
	order.PutUint32(b, hasException)
	order.PutUint32(b[4:], uint32(r.Exception))
	for i, code := range r.Codes[:min(len(r.Codes), 2)] {
		order.PutUint64(b[8+8*i:], code)
		if i == 1 {
			order.PutUint32(b, hasException|hasSubcode)
		}
	}
}

// messageSize is the maximum size of a Mach message with its trailer in bytes.
const messageSize = 512

// message is a received Mach message.
type message [messageSize]byte

// serveRequests receives the requests for dumps until Close, and then releases the service.
func (s *Server) serveRequests(l *Listener) {
	if !l.serve() {
		return
	}
	defer l.closePort()
	for {
		m := new(message)
		switch kr := mach.Receive(l.port, m[:], mach.MACH_RCV_TRAILER_AUDIT, mach.Forever); kr {
		case mach.KERN_SUCCESS:
		case mach.MACH_RCV_INTERRUPTED:
			continue
		case mach.MACH_RCV_TOO_LARGE: // the kernel has discarded it
			s.report(Peer{}, fmt.Errorf("a Mach message: %w: more than %d bytes", ErrProtocol, len(m)))
			continue
		default:
			s.report(Peer{}, fmt.Errorf("server: receive Mach messages: %w", kr))
			return
		}
		sender, known := mach.Sender(m[:])
		if h, ok := mach.GetHeader(m[:]); ok && h.ID == wakeID && known && sender.PID() == ownPID {
			mach.Destroy(m[:])
			return
		}
		s.request(m, &sender, known)
	}
}

// request answers a message on a goroutine, after a place for its dump is free, and releases the rights in it.
func (s *Server) request(m *message, sender *mach.AuditToken, known bool) {
	r, ok := parseRequest(m[:])
	if !ok || !known {
		mach.Destroy(m[:])
		s.report(peerOf(sender), fmt.Errorf("a Mach message: %w", ErrProtocol))
		return
	}
	s.places <- struct{}{}
	s.remove(func() { s.running.Add(1) })
	go func() {
		defer s.running.Done()
		defer mach.Destroy(m[:])
		err := s.dump(peerOf(sender), s.connected(sender), &r)
		<-s.places
		sendAnswer(r.Answer, err == nil)
	}()
}

// sendAnswer sends the answer after which the client continues.
func sendAnswer(to mach.Port, written bool) {
	if !to.Valid() {
		return
	}
	var m [answerSize]byte
	h := mach.Header{Bits: mach.Bits(mach.MACH_MSG_TYPE_COPY_SEND, 0), Size: answerSize, Remote: to}
	h.Put(m[:])
	if written {
		order.PutUint32(m[mach.HeaderSize:], 1)
	}
	mach.Send(m[:], uint32(answerPatience.Milliseconds())) // the client may have ended
}

// wake ends serveRequests.
func (l *Listener) wake() {
	var m [mach.HeaderSize]byte
	h := mach.Header{Bits: mach.Bits(mach.MACH_MSG_TYPE_MAKE_SEND, 0), Size: mach.HeaderSize, Remote: l.port, ID: wakeID}
	h.Put(m[:])
	mach.Send(m[:], mach.Forever)
}

// dump dumps the process that has sent a request, and reports the result. c is its connection, or nil. The caller must
// have a place.
func (s *Server) dump(p Peer, c *conn, r *request) error {
	d := Dump{Peer: p, Protocol: Minidumper}
	if s.opts.OnStuck != nil {
		limit := deadline.OfDump(s.opts.DumpTimeout, s.opts.Dump.Mode == minidump.ModeFull)
		defer time.AfterFunc(limit, func() { s.opts.OnStuck(p) }).Stop()
	}
	w, err := s.open(c, r, &d)
	if err == nil {
		defer w.Close() // after OnDump, which may call SoftErrors
		d.Path, d.Result, err = s.write(w, &d)
	}
	if d.Err = err; err != nil {
		d.Path = ""
	}
	if s.opts.OnDump != nil {
		s.opts.OnDump(d)
	}
	return err
}

// open prepares the dump of a client, after it has checked that the client is connected and that the task is its own.
func (s *Server) open(c *conn, r *request, d *Dump) (*minidump.Writer, error) {
	pid := d.Peer.PID
	if c == nil {
		return nil, fmt.Errorf("%w: process %d of user %d is not connected", ErrRefused, pid, d.Peer.UID)
	}
	if !s.opts.Allow(d.Peer) {
		return nil, fmt.Errorf("%w: process %d of user %d", ErrRefused, pid, d.Peer.UID)
	}
	s.mu.Lock()
	c.dumps++
	n := c.dumps
	s.mu.Unlock()
	if n > s.opts.perProcess() {
		return nil, fmt.Errorf("%w: process %d had %d dumps on this connection", ErrFull, pid, s.opts.perProcess())
	}
	of, kr := mach.PIDForTask(r.Task)
	if kr != mach.KERN_SUCCESS {
		return nil, fmt.Errorf("the task of process %d: %w", pid, kr)
	}
	if of != pid {
		return nil, fmt.Errorf("%w: process %d asks for a dump of process %d", ErrRefused, pid, of)
	}
	opts := s.opts.Dump
	var id mach.ThreadIdentifierInfo
	if kr := id.Read(r.Thread); kr != mach.KERN_SUCCESS { // the dump is about another thread
		s.report(d.Peer, fmt.Errorf("crash of process %d: its thread: %w", pid, kr))
	}
	opts.Thread, opts.Crash = int(int32(uint32(id.ThreadID))), nil // the form of thread ids in dumps
	w, err := minidump.NewTaskWriter(r.Task, opts)
	if err != nil {
		return nil, err
	}
	if r.Crashed {
		d.Crash = minidump.TaskCrash(id.ThreadID, r.Exception, r.Codes...)
		w.SetCrash(d.Crash)
	}
	return w, nil
}
