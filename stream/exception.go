package stream

import "encoding/binary"

// EXCEPTION_MAXIMUM_PARAMETERS is the length of Exception.Information.
const EXCEPTION_MAXIMUM_PARAMETERS = 15

// MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED is Exception.Code of a Linux dump made without a crash
// (Breakpad, minidump_exception_linux.h).
const MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED = 0xffffffff

// ExceptionSize is the size of an Exception in bytes.
const ExceptionSize = 168

// Exception is MINIDUMP_EXCEPTION_STREAM with the MINIDUMP_EXCEPTION in it: why, where and in which thread the process
// crashed. On Linux Code is the signal and Flags its si_code.
//
//	  0 uint32     ThreadId
//	  4 uint32     reserved
//	  8 uint32     ExceptionCode
//	 12 uint32     ExceptionFlags
//	 16 uint64     ExceptionRecord
//	 24 uint64     ExceptionAddress
//	 32 uint32     NumberParameters
//	 36 uint32     reserved
//	 40 uint64[15] ExceptionInformation
//	160 Location   ThreadContext
type Exception struct {
	ThreadID         uint32
	Code             uint32
	Flags            uint32
	Record           uint64 // address in the process of another exception record; else 0
	Address          uint64 // of the fault, or of the instruction where there is none
	NumberParameters uint32 // entries of Information that are used, 0 to 15
	Information      [EXCEPTION_MAXIMUM_PARAMETERS]uint64
	Context          Location // a CPU context: the registers at the crash
}

// Put writes the ExceptionSize bytes of r to b.
func (r *Exception) Put(b []byte, o binary.ByteOrder) {
	_ = b[ExceptionSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], 0)
	o.PutUint32(b[8:], r.Code)
	o.PutUint32(b[12:], r.Flags)
	o.PutUint64(b[16:], r.Record)
	o.PutUint64(b[24:], r.Address)
	o.PutUint32(b[32:], r.NumberParameters)
	o.PutUint32(b[36:], 0)
	for i := range r.Information {
		o.PutUint64(b[40+8*i:], r.Information[i])
	}
	r.Context.Put(b[160:], o)
}

// Get reads r from the first ExceptionSize bytes of b.
func (r *Exception) Get(b []byte, o binary.ByteOrder) {
	_ = b[ExceptionSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.Code = o.Uint32(b[8:])
	r.Flags = o.Uint32(b[12:])
	r.Record = o.Uint64(b[16:])
	r.Address = o.Uint64(b[24:])
	r.NumberParameters = o.Uint32(b[32:])
	for i := range r.Information {
		r.Information[i] = o.Uint64(b[40+8*i:])
	}
	r.Context.Get(b[160:], o)
}
