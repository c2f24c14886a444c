package darwin

import "minidump/stream"

// Limits of the MozMacosCrashInfo stream, the same as rust-minidump's: MAC_CRASH_INFOS_MAX, and
// MAC_CRASH_INFO_STRING_MAX_SIZE with its NUL.
const (
	maxAnnotations     = 20
	maxAnnotationBytes = 8192
)

// Sizes in bytes: MINIDUMP_MAC_CRASH_INFO, and the fixed part of a record of version 5.
//
//	header     0 uint32        stream_type
//	           4 uint32        record_count
//	           8 uint32        record_start_size: where in each record its strings begin
//	          12 Location[20]  records
//	record     0 uint64        stream_type
//	           8 uint64        version
//	          16 uint64        thread
//	          24 uint64        dialog_mode
//	          32 uint64        abort_cause
//	          40               module path, message, signature, backtrace, second message, each with a NUL
const (
	crashInfoHeader = 12 + 8*maxAnnotations
	crashInfoRecord = 40
)

// All records of one stream must have the same version, and version 5 has everything that the known versions of
// crashreporter_annotations_t have: 4, 5, and 7 of macOS 26.
const annotationVersion = 5

// An annotation is what an image says about a crash, with its texts read.
type annotation struct {
	thread     uint64
	dialogMode uint32
	abortCause uint64
	texts      [5][]byte // the path of the module, message, signature, backtrace, second message; without NULs
}

// empty reports whether the image says nothing: most images have the section but never fill it in.
func (a *annotation) empty() bool {
	for _, t := range a.texts[1:] {
		if len(t) > 0 {
			return false
		}
	}
	return a.abortCause == 0
}

// size returns the size of the record in bytes.
func (a *annotation) size() int {
	n := crashInfoRecord
	for _, t := range a.texts {
		n += min(len(t), maxAnnotationBytes-1) + 1
	}
	return n
}

// put writes the record to b, of a.size() bytes.
func (a *annotation) put(b []byte) {
	for i, v := range [...]uint64{uint64(stream.MozMacosCrashInfo), annotationVersion, a.thread, uint64(a.dialogMode),
		a.abortCause} {
		order.PutUint64(b[8*i:], v)
	}
	b = b[crashInfoRecord:]
	for _, t := range a.texts {
		n := copy(b, t[:min(len(t), maxAnnotationBytes-1)])
		b[n] = 0
		b = b[n+1:]
	}
}

// putCrashInfoHeader writes the header of the stream to b. offsets are those of the records from the start of the
// stream, and then the end of the stream: the encoder turns them into offsets in the file.
func putCrashInfoHeader(b []byte, offsets []uint32) {
	clear(b[:crashInfoHeader])
	n := len(offsets) - 1
	order.PutUint32(b, uint32(stream.MozMacosCrashInfo))
	order.PutUint32(b[4:], uint32(n))
	order.PutUint32(b[8:], crashInfoRecord)
	for i := range n {
		order.PutUint32(b[12+8*i:], offsets[i+1]-offsets[i])
		order.PutUint32(b[16+8*i:], offsets[i])
	}
}
