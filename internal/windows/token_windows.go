package windows

import (
	"syscall"
	"unsafe"

	"minidump/internal/snapshot"
	"minidump/stream"
)

// maxTokens is the maximum size of the access tokens of a dump in bytes. A token has about 2 KiB, or 40 KiB if the user is in
// many groups of a domain.
const maxTokens = 256 << 10

// Classes of NtQueryInformationToken (TOKEN_INFORMATION_CLASS of winnt.h), in the order of the parts in a dump.
var tokenClasses = [stream.TokenParts]uintptr{
	stream.TokenPartSessionID: 12, stream.TokenPartUser: 1, stream.TokenPartGroups: 2, stream.TokenPartPrimaryGroup: 5,
	stream.TokenPartPrivileges: 3, stream.TokenPartStatistics: 10, stream.TokenPartRestrictedSIDs: 11,
}

const tokenQuery = 8 // TOKEN_QUERY (winnt.h)

// captureTokens adds the TokenStream, with the tokens of the process and of the threads that impersonate another user. The
// threads must be open.
func (l *Source) captureTokens(s *snapshot.Snapshot) {
	if !s.Want.Tokens {
		return
	}
	b := addStream(s, stream.TokenStream, maxTokens)
	if b == nil {
		return
	}
	used, n := stream.TokenInfoListSize, uint32(0)
	for i := -1; i < len(l.held); i++ {
		token, id, errno := l.openToken(i)
		if errno != 0 {
			s.Soft(snapshot.OpToken, int32(errno), int32(id), 0)
		}
		if token == 0 {
			continue
		}
		size := l.putToken(b[used:], token, id)
		syscall.CloseHandle(token)
		if size == 0 {
			s.Soft(snapshot.OpTruncated, 0, int32(id), 0)
			continue
		}
		used, n = used+size, n+1
	}
	h := stream.TokenInfoList{TokenListSize: uint32(used), TokenListEntries: n, ListHeaderSize: stream.TokenInfoListSize,
		ElementHeaderSize: stream.TokenDetailsSize}
	h.Put(b, le)
	st := s.Streams.At(s.Streams.N - 1)
	st.Data = s.Bytes.Trim(st.Data, used)
}

// openToken opens the token of the ith held thread, or that of the process if i is -1. It returns 0 for a thread that has no
// token of its own: such a thread uses that of its process.
func (l *Source) openToken(i int) (token syscall.Handle, id uint32, _ syscall.Errno) {
	if i < 0 {
		r, _, _ := syscall.SyscallN(ntOpenProcessToken, uintptr(l.p.Handle), tokenQuery, uintptr(unsafe.Pointer(&l.token)))
		return opened(l.token, l.p.PID, r)
	}
	const asSelf = 1 // access is checked for this process, not for the user that this thread impersonates
	h := &l.held[i]
	r, _, _ := syscall.SyscallN(ntOpenThreadToken, uintptr(h.handle), tokenQuery, asSelf, uintptr(unsafe.Pointer(&l.token)))
	const STATUS_NO_TOKEN = 0xc000007c
	if uint32(r) == STATUS_NO_TOKEN {
		return 0, h.id, 0
	}
	return opened(l.token, h.id, r)
}

func opened(token syscall.Handle, id uint32, status uintptr) (syscall.Handle, uint32, syscall.Errno) {
	if errno := errnoOf(status); errno != 0 {
		return 0, id, errno
	}
	return token, id, 0
}

// putToken writes a token to b and returns its size, or 0 if b is too small.
func (l *Source) putToken(b []byte, token syscall.Handle, id uint32) int {
	if len(b) < stream.TokenDetailsSize {
		return 0
	}
	clear(b[:stream.TokenDetailsSize])
	at := stream.TokenDetailsSize
	for part, class := range tokenClasses {
		r, _, _ := syscall.SyscallN(ntQueryInformationToken, uintptr(token), class, uintptr(unsafe.Pointer(&l.text[0])), uintptr(len(l.text)),
			uintptr(unsafe.Pointer(&l.tokenSize)))
		if errnoOf(r) != 0 { // Wine 8 does not support restricted SIDs
			continue
		}
		answer := tokenAnswer(l.text[:min(int(l.tokenSize), len(l.text))])
		size := answer.put(part, b[at:])
		if size < 0 {
			return 0
		}
		le.PutUint32(b[stream.TokenInfoSize+8*part:], uint32(at))
		le.PutUint32(b[stream.TokenInfoSize+8*part+4:], uint32(size))
		end := at + size
		if at = (end + 7) &^ 7; at > len(b) {
			return 0
		}
		clear(b[end:at])
	}
	h := stream.TokenInfo{TokenSize: uint32(at), TokenID: id, TokenHandle: uint64(token)}
	h.Put(b, le)
	return at
}

// tokenAnswer is what NtQueryInformationToken writes: a record with pointers into itself.
type tokenAnswer []byte

// put writes an answer in the form of a dump, with offsets instead of pointers. It returns the size, or -1 if b is too small.
func (a tokenAnswer) put(part int, b []byte) int {
	switch part {
	case stream.TokenPartUser: // SID_AND_ATTRIBUTES: pointer, uint32
		sid := a.sid(0)
		if len(b) < 8+len(sid) {
			return -1
		}
		le.PutUint32(b, 8)
		le.PutUint32(b[4:], a.uint32(nativeWord))
		return 8 + copy(b[8:], sid)
	case stream.TokenPartPrimaryGroup: // pointer
		sid := a.sid(0)
		if len(b) < 4+len(sid) {
			return -1
		}
		le.PutUint32(b, uint32(nativeWord)) // the offset of the SID in the system's record
		return 4 + copy(b[4:], sid)
	case stream.TokenPartGroups, stream.TokenPartRestrictedSIDs:
		return a.putGroups(b)
	}
	if len(b) < len(a) {
		return -1
	}
	return copy(b, a)
}

// putGroups writes TOKEN_GROUPS: uint32 count in a word, then SID_AND_ATTRIBUTES.
func (a tokenAnswer) putGroups(b []byte) int {
	const entry = 2 * nativeWord
	n := min(int(a.uint32(0)), max(len(a)-nativeWord, 0)/entry)
	at := (4 + 8*n + nativeWord - 1) &^ (nativeWord - 1)
	if len(b) < at {
		return -1
	}
	clear(b[:at])
	le.PutUint32(b, uint32(n))
	for i := range n {
		from := nativeWord + i*entry
		sid := a.sid(from)
		if len(b) < at+len(sid) {
			return -1
		}
		le.PutUint32(b[4+8*i:], uint32(at))
		le.PutUint32(b[8+8*i:], a.uint32(from+nativeWord))
		at += copy(b[at:], sid)
	}
	return at
}

func (a tokenAnswer) uint32(at int) uint32 {
	if at+4 > len(a) {
		return 0
	}
	return le.Uint32(a[at:])
}

// sid returns the SID to which the pointer at offset at points, or nil if the SID is not in the answer.
func (a tokenAnswer) sid(at int) []byte {
	if at+nativeWord > len(a) {
		return nil
	}
	var pointer uint64
	if nativeWord == 8 {
		pointer = le.Uint64(a[at:])
	} else {
		pointer = uint64(le.Uint32(a[at:]))
	}
	start := pointer - uint64(uintptr(unsafe.Pointer(&a[0])))
	const head, mostParts = 8, 15 // of SID (winnt.h); the second byte is the number of parts that follow
	if start > uint64(len(a)) || uint64(len(a))-start < head {
		return nil
	}
	sid := a[start:]
	size := head + 4*int(sid[1])
	if sid[1] > mostParts || size > len(sid) {
		return nil
	}
	return sid[:size]
}
