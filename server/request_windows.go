package server

import (
	"encoding/binary"
	"fmt"

	"minidump"
)

// A DumpRequest of minidumper on Windows (minidumper 0.10 and 0.11, src/ipc.rs) is the address of EXCEPTION_POINTERS in the memory of
// the client, as a word of the client; u32 process; u32 thread; i32 exception code. It has no padding.
const (
	dumpRequestSize32 = 16
	dumpRequestSize64 = 20
)

// parseDumpRequest parses the DumpRequest of a 32-bit or 64-bit client.
func parseDumpRequest(b []byte) (c minidump.CrashContext, err error) {
	o := binary.LittleEndian
	switch len(b) {
	case dumpRequestSize32:
		c.ExceptionPointers, b = uint64(o.Uint32(b)), b[4:]
	case dumpRequestSize64:
		c.ExceptionPointers, b = o.Uint64(b), b[8:]
	default:
		return c, fmt.Errorf("%w: a request of %d bytes, not %d or %d", ErrProtocol, len(b), dumpRequestSize32, dumpRequestSize64)
	}
	c.ProcessID, c.ThreadID, c.ExceptionCode = int(o.Uint32(b)), int(o.Uint32(b[4:])), o.Uint32(b[8:])
	return c, nil
}

// AppendDumpRequest appends the DumpRequest of a 64-bit client to b, for [Client.RequestDump].
func AppendDumpRequest(b []byte, c minidump.CrashContext) []byte {
	o := binary.LittleEndian
	b = o.AppendUint64(b, c.ExceptionPointers)
	b = o.AppendUint32(b, uint32(c.ProcessID))
	b = o.AppendUint32(b, uint32(c.ThreadID))
	return o.AppendUint32(b, c.ExceptionCode)
}
