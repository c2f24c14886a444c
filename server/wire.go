package server

import (
	"encoding/binary"
	"fmt"
)

// A message of the minidumper protocol (minidumper 0.10 and 0.11, src/ipc.rs) is one packet: u32 kind, u32 size of the
// body, both in the machine's byte order, and the body.
const (
	kindCrash    = 0 // the body is a crash_context::CrashContext; from a Client of this package it may be empty
	kindCrashAck = 1
	kindPing     = 2
	kindPong     = 3
	kindUser     = 4 // and above

	headerSize = 8
)

// parseMessage splits a packet into kind and body.
func parseMessage(b []byte) (kind uint32, body []byte, err error) {
	if len(b) < headerSize {
		return 0, nil, fmt.Errorf("%w: %d bytes, less than the %d of the header", ErrProtocol, len(b), headerSize)
	}
	kind, size := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	if uint64(size) != uint64(len(b)-headerSize) {
		return 0, nil, fmt.Errorf("%w: %d bytes follow the header, which announces %d", ErrProtocol, len(b)-headerSize, size)
	}
	return kind, b[headerSize:], nil
}

// appendMessage appends a message to b.
func appendMessage(b []byte, kind uint32, body []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, kind)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// The messages of Crashpad's ExceptionHandlerProtocol (util/linux/exception_handler_protocol.h), which are packed.
const (
	crashpadVersion = 1

	typeCheckCredentials = 0 // ClientToServerMessage::Type
	typeCrashDumpRequest = 1

	typeCredentials       = 0 // ServerToClientMessage::Type
	typeForkBroker        = 1
	typeSetPtracer        = 2
	typeCrashDumpComplete = 3
	typeCrashDumpFailed   = 4

	// i32 version, u32 type, u64 stack address @8, u64 address of ExceptionInformation @16, u64 address of
	// SanitizationInformation @24, and on Linux other than Android u64 crash_loop_before_time @32.
	crashpadRequestSize        = 40
	crashpadRequestSizeAndroid = 32
)

// crashpadRequest is a ClientToServerMessage.
type crashpadRequest struct {
	Type         uint32
	Stack        uint64 // an address on the stack of the sending thread
	Information  uint64 // address of ExceptionInformation; 0: none
	Sanitization uint64 // address of SanitizationInformation; 0: none
}

// parseCrashpad parses a ClientToServerMessage.
func parseCrashpad(b []byte) (r crashpadRequest, err error) {
	o := binary.NativeEndian
	if len(b) != crashpadRequestSize && len(b) != crashpadRequestSizeAndroid {
		return r, fmt.Errorf("%w: %d bytes, but a request of Crashpad has %d", ErrProtocol, len(b), crashpadRequestSize)
	}
	if v := int32(o.Uint32(b)); v != crashpadVersion {
		return r, fmt.Errorf("%w: version %d of Crashpad's protocol, not %d", ErrProtocol, v, crashpadVersion)
	}
	r = crashpadRequest{Type: o.Uint32(b[4:]), Stack: o.Uint64(b[8:]), Information: o.Uint64(b[16:]), Sanitization: o.Uint64(b[24:])}
	if r.Type > typeCrashDumpRequest {
		return r, fmt.Errorf("%w: unknown type %d of Crashpad's protocol", ErrProtocol, r.Type)
	}
	return r, nil
}

// crashpadAnswer returns a ServerToClientMessage: u32 type, i32 pid.
func crashpadAnswer(typ uint32, pid int) []byte {
	b := binary.NativeEndian.AppendUint32(nil, typ)
	return binary.NativeEndian.AppendUint32(b, uint32(pid))
}

// exceptionInformation is Crashpad's ExceptionInformation in the memory of a client (util/linux/exception_information.h):
// u64 address of siginfo_t, u64 address of ucontext_t, i32 id of the thread in the pid namespace of the client.
type exceptionInformation struct {
	Siginfo, Ucontext uint64
	TID               int32
}

const exceptionInformationSize = 20

func parseInformation(b []byte) (e exceptionInformation, ok bool) {
	if len(b) < exceptionInformationSize {
		return e, false
	}
	o := binary.NativeEndian
	return exceptionInformation{o.Uint64(b), o.Uint64(b[8:]), int32(o.Uint32(b[16:]))}, true
}
