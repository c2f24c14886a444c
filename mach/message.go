package mach

import "encoding/binary"

// All supported architectures of XNU are little-endian.
var order = binary.LittleEndian

// Dispositions of a port right in a message: osfmk/mach/message.h.
const (
	MACH_MSG_TYPE_MOVE_RECEIVE   = 16
	MACH_MSG_TYPE_MOVE_SEND      = 17
	MACH_MSG_TYPE_MOVE_SEND_ONCE = 18
	MACH_MSG_TYPE_COPY_SEND      = 19
	MACH_MSG_TYPE_MAKE_SEND      = 20
	MACH_MSG_TYPE_MAKE_SEND_ONCE = 21
)

// Options of mach_msg: osfmk/mach/message.h.
const (
	MACH_SEND_MSG     = 0x1
	MACH_RCV_MSG      = 0x2
	MACH_RCV_LARGE    = 0x4
	MACH_SEND_TIMEOUT = 0x10
	MACH_RCV_TIMEOUT  = 0x100

	// MACH_RCV_TRAILER_AUDIT requests a trailer with the audit token of the sender.
	MACH_RCV_TRAILER_AUDIT = 3 << 24
)

// Bits of a message's header, and kinds of descriptors: osfmk/mach/message.h.
const (
	MACH_MSGH_BITS_COMPLEX        = 0x80000000
	MACH_MSG_PORT_DESCRIPTOR      = 0
	MACH_MSG_OOL_DESCRIPTOR       = 1
	MACH_MSG_OOL_PORTS_DESCRIPTOR = 2
)

// Sizes in bytes: osfmk/mach/message.h, struct declarations packed to 4 bytes.
const (
	HeaderSize         = 24 // mach_msg_header_t
	PortDescriptorSize = 12 // mach_msg_port_descriptor_t
	MaxTrailerSize     = 68 // mach_msg_max_trailer_t
)

// Identifiers of messages.
const (
	// osfmk/mach/mach_exc.defs, base 2405: exceptions with codes of 64 bits (MACH_EXCEPTION_CODES).
	MACH_EXCEPTION_RAISE                          = 2405
	MACH_EXCEPTION_RAISE_STATE                    = 2406
	MACH_EXCEPTION_RAISE_STATE_IDENTITY           = 2407
	MACH_EXCEPTION_RAISE_IDENTITY_PROTECTED       = 2408
	MACH_EXCEPTION_RAISE_STATE_IDENTITY_PROTECTED = 2410

	// osfmk/mach/notify.h.
	MACH_NOTIFY_NO_SENDERS = 0o106
	MACH_NOTIFY_SEND_ONCE  = 0o107
	MACH_NOTIFY_DEAD_NAME  = 0o110
)

// ndr is NDR_record of osfmk/mach/ndr.h, which every MIG message contains: little-endian integers, ASCII, IEEE floats.
var ndr = [8]byte{4: 1}

// A Header is mach_msg_header_t, 24 bytes.
type Header struct {
	Bits    uint32
	Size    uint32 // of the message, including the header but not the trailer
	Remote  Port   // sent: the destination; received: the port for a reply
	Local   Port   // sent: the port for the reply; received: the port of the receiver
	Voucher Port
	ID      int32
}

// Complex reports whether the message has descriptors of ports or memory.
func (h *Header) Complex() bool { return h.Bits&MACH_MSGH_BITS_COMPLEX != 0 }

// Bits returns the bits of a header that state the disposition of its ports: remote and local are MACH_MSG_TYPE_*, or 0.
func Bits(remote, local uint32) uint32 { return remote | local<<8 }

// GetHeader decodes the header at the start of msg. ok is false if msg is shorter than the header states.
func GetHeader(msg []byte) (h Header, ok bool) {
	if len(msg) < HeaderSize {
		return Header{}, false
	}
	h = Header{
		Bits: order.Uint32(msg), Size: order.Uint32(msg[4:]), Remote: Port(order.Uint32(msg[8:])),
		Local: Port(order.Uint32(msg[12:])), Voucher: Port(order.Uint32(msg[16:])), ID: int32(order.Uint32(msg[20:])),
	}
	return h, h.Size >= HeaderSize && uint64(h.Size) <= uint64(len(msg))
}

// Put writes h to the start of msg, which must be large enough.
func (h *Header) Put(msg []byte) {
	_ = msg[HeaderSize-1]
	order.PutUint32(msg, h.Bits)
	order.PutUint32(msg[4:], h.Size)
	order.PutUint32(msg[8:], uint32(h.Remote))
	order.PutUint32(msg[12:], uint32(h.Local))
	order.PutUint32(msg[16:], uint32(h.Voucher))
	order.PutUint32(msg[20:], uint32(h.ID))
}

// Sender returns the audit token of the process that sent msg, from the trailer after msg that a Receive with
// MACH_RCV_TRAILER_AUDIT has requested. The kernel writes the token. ok is false if there is no such trailer.
func Sender(msg []byte) (t AuditToken, ok bool) {
	h, ok := GetHeader(msg)
	if !ok {
		return t, false
	}
	// mach_msg_audit_trailer_t of osfmk/mach/message.h: type, size, sequence number, 8 bytes for the sender's user and group, the
	// token at 20. The message is padded to a multiple of 4 bytes.
	const at, size = 20, 52
	b := msg[min((uint64(h.Size)+3)&^3, uint64(len(msg))):]
	if len(b) < size || order.Uint32(b) != 0 || order.Uint32(b[4:]) < size {
		return t, false
	}
	for i := range t {
		t[i] = order.Uint32(b[at+4*i:])
	}
	return t, true
}

// PutPortDescriptor writes a mach_msg_port_descriptor_t to the start of b. It sends the right name with the disposition.
func PutPortDescriptor(b []byte, name Port, disposition uint8) {
	_ = b[PortDescriptorSize-1]
	order.PutUint32(b, uint32(name))
	order.PutUint32(b[4:], 0)
	order.PutUint16(b[8:], 0)
	b[10], b[11] = disposition, MACH_MSG_PORT_DESCRIPTOR
}

// GetPortDescriptor decodes a mach_msg_port_descriptor_t at the start of b. ok is false if there is none.
func GetPortDescriptor(b []byte) (name Port, disposition uint8, ok bool) {
	if len(b) < PortDescriptorSize || b[11] != MACH_MSG_PORT_DESCRIPTOR {
		return 0, 0, false
	}
	return Port(order.Uint32(b)), b[10], true
}

// An Exception is a request of the subsystem mach_exc: a thread has raised an exception, and waits for the reply.
type Exception struct {
	Header    Header
	Thread    Port   // 0 if the behavior names no ports
	Task      Port   // a task port; for the protected behaviors a token, see [TaskIdentityTokenGetTaskPort]
	Protected bool   // Task is a token, and only ThreadID identifies the thread
	ThreadID  uint64 // as in [ThreadIdentifierInfo], if Protected
	Type      ExceptionType
	CodeCount int // 1 or 2
	Code      uint64
	Subcode   uint64 // 0 if CodeCount is 1
	Flavor    int32  // of State; 0 if there is none
	State     []byte // registers, part of the message
}

// ParseException decodes a message of mach_exc. ok is false if msg is another message, or its length is wrong. Layouts:
// osfmk/mach/mach_exc.defs, as compiled by MIG for 64-bit programs.
func ParseException(msg []byte) (e Exception, ok bool) {
	if e.Header, ok = GetHeader(msg); !ok {
		return Exception{}, false
	}
	r := reader{b: msg[HeaderSize:e.Header.Size], ok: true}
	state := false
	ports := 0
	switch e.Header.ID {
	case MACH_EXCEPTION_RAISE:
		ports = 2
	case MACH_EXCEPTION_RAISE_STATE:
		state = true
	case MACH_EXCEPTION_RAISE_STATE_IDENTITY:
		ports, state = 2, true
	case MACH_EXCEPTION_RAISE_IDENTITY_PROTECTED:
		ports, e.Protected = 1, true
	case MACH_EXCEPTION_RAISE_STATE_IDENTITY_PROTECTED:
		ports, e.Protected, state = 1, true, true
	default:
		return Exception{}, false
	}
	if e.Header.Complex() != (ports > 0) {
		return Exception{}, false
	}
	if ports > 0 {
		if int(r.uint32()) != ports {
			return Exception{}, false
		}
		if ports == 2 {
			e.Thread = r.port()
		}
		e.Task = r.port()
	}
	r.take(len(ndr))
	if e.Protected {
		e.ThreadID = r.uint64()
	}
	e.Type = ExceptionType(r.uint32())
	e.CodeCount = int(r.uint32())
	if !r.ok || e.CodeCount < 1 || e.CodeCount > 2 {
		return Exception{}, false
	}
	e.Code = r.uint64()
	if e.CodeCount == 2 {
		e.Subcode = r.uint64()
	}
	if state {
		e.Flavor = int32(r.uint32())
		n := r.uint32()
		if n > maxState {
			return Exception{}, false
		}
		e.State = r.take(4 * int(n))
	}
	return e, r.ok
}

// maxState is THREAD_STATE_MAX of osfmk/mach/arm/thread_state.h, in words: the size of the largest state in a message.
const maxState = 1296

// ExceptionReplySize is the maximum size of a reply to an [Exception] in bytes.
const ExceptionReplySize = HeaderSize + 8 + 4 + 4 + 4 + 4*maxState

// Reply writes the reply to e into msg, of ExceptionReplySize bytes, and returns the part of msg to send. result is KERN_SUCCESS
// if the thread continues with its registers unchanged, MACH_RCV_PORT_DIED after EXC_CRASH to make the kernel call the system's
// own reporter too, and KERN_FAILURE if another handler must handle the exception.
func (e *Exception) Reply(msg []byte, result KernReturn) []byte {
	n := HeaderSize + 8 + 4
	copy(msg[HeaderSize:], ndr[:])
	order.PutUint32(msg[HeaderSize+8:], uint32(result))
	switch e.Header.ID {
	case MACH_EXCEPTION_RAISE_STATE, MACH_EXCEPTION_RAISE_STATE_IDENTITY, MACH_EXCEPTION_RAISE_STATE_IDENTITY_PROTECTED:
		if result == KERN_SUCCESS { // otherwise it is a mig_reply_error_t, which ends after the result
			order.PutUint32(msg[n:], uint32(e.Flavor))
			order.PutUint32(msg[n+4:], uint32(len(e.State)/4))
			n += 8 + copy(msg[n+8:], e.State)
		}
	}
	h := Header{
		Bits: Bits(e.Header.Bits&0x1f, 0), Size: uint32(n), Remote: e.Header.Remote, ID: e.Header.ID + 100,
	}
	h.Put(msg)
	return msg[:n]
}

// A reader reads the fields of a message in order. After the first field beyond the end, everything it returns is zero, and ok is
// false.
type reader struct {
	b  []byte
	ok bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.ok = nil, false
		return nil
	}
	t := r.b[:n:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return order.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return order.Uint64(b)
	}
	return 0
}

func (r *reader) port() Port {
	p, _, ok := GetPortDescriptor(r.take(PortDescriptorSize))
	r.ok = r.ok && ok
	return p
}
