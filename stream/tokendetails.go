package stream

import (
	"encoding/binary"
	"strconv"
)

// TokenDetailsSize is the size in bytes of the head of a token that states where its parts lie: a TokenInfo, then for each of the
// TokenParts a uint32 offset from the start of the token and a uint32 size.
//
// Microsoft documents only TokenInfo. The rest is the layout that forks of Wine's dbghelp write for MiniDumpWithTokenInformation.
// It has not been compared with a dump by Microsoft's dbghelp. A size of 0 means that the part is missing.
const TokenDetailsSize = TokenInfoSize + 8*TokenParts

// The parts of a token, in the order of their offsets. They start at multiples of 8. Each is the result of
// NtQueryInformationToken for the class of that name (winnt.h), with offsets in place of pointers:
//
//   - TokenPartUser: uint32 offset of the SID from the start of the part, uint32 attributes, SID;
//   - TokenPartGroups and TokenPartRestrictedSIDs: uint32 count, then for each SID its uint32 offset from the start of the part and
//     uint32 attributes, then the SIDs;
//   - TokenPartPrimaryGroup: uint32, then the SID;
//   - TokenPartPrivileges: uint32 count, then for each a LUID of 8 bytes and uint32 attributes;
//   - TokenPartStatistics: TOKEN_STATISTICS, 56 bytes.
const (
	TokenPartSessionID = iota
	TokenPartUser
	TokenPartGroups
	TokenPartPrimaryGroup
	TokenPartPrivileges
	TokenPartStatistics
	TokenPartRestrictedSIDs

	TokenParts
)

// TokenDetails is the content of a token: who a process or a thread runs as, and what it may do. SIDs are written as S-1-5-18.
type TokenDetails struct {
	SessionID      uint32
	User           TokenSID
	Groups         []TokenSID
	PrimaryGroup   string
	Privileges     []TokenPrivilege
	Logon          uint64 // AuthenticationId of TOKEN_STATISTICS: the logon session
	Impersonation  bool   // TokenType of TOKEN_STATISTICS: the thread impersonates somebody else
	RestrictedSIDs []TokenSID
}

// TokenSID is a security identifier with its attributes (SE_GROUP_ of winnt.h).
type TokenSID struct {
	SID        string
	Attributes uint32
}

// TokenPrivilege is a privilege with its attributes (SE_PRIVILEGE_ of winnt.h).
type TokenPrivilege struct {
	LUID       uint64
	Attributes uint32
}

// tokenDetails reads the content of a token; nil if its head does not state where the parts lie. Parts that are missing or lie
// outside of the token stay empty.
func tokenDetails(b []byte, head uint32, o binary.ByteOrder) *TokenDetails {
	if head < TokenDetailsSize || len(b) < TokenDetailsSize {
		return nil
	}
	part := func(i int) []byte {
		at, size := uint64(o.Uint32(b[TokenInfoSize+8*i:])), uint64(o.Uint32(b[TokenInfoSize+8*i+4:]))
		if at < TokenDetailsSize || at+size > uint64(len(b)) {
			return nil
		}
		return b[at : at+size]
	}
	d := &TokenDetails{Groups: tokenSIDs(part(TokenPartGroups), o), RestrictedSIDs: tokenSIDs(part(TokenPartRestrictedSIDs), o)}
	if p := part(TokenPartSessionID); len(p) >= 4 {
		d.SessionID = o.Uint32(p)
	}
	if p := part(TokenPartUser); len(p) >= 8 {
		d.User = TokenSID{sidText(p, o.Uint32(p), o), o.Uint32(p[4:])}
	}
	if p := part(TokenPartPrimaryGroup); len(p) >= 4 {
		d.PrimaryGroup = sidText(p, 4, o)
	}
	if p := part(TokenPartPrivileges); len(p) >= 4 {
		n := o.Uint32(p)
		for p = p[4:]; n > 0 && len(p) >= 12; n, p = n-1, p[12:] {
			d.Privileges = append(d.Privileges, TokenPrivilege{o.Uint64(p), o.Uint32(p[8:])})
		}
	}
	if p := part(TokenPartStatistics); len(p) >= 56 {
		const impersonation = 2 // TokenImpersonation
		d.Logon, d.Impersonation = o.Uint64(p[8:]), o.Uint32(p[24:]) == impersonation
	}
	return d
}

// tokenSIDs reads a list of SIDs.
func tokenSIDs(p []byte, o binary.ByteOrder) (list []TokenSID) {
	if len(p) < 4 {
		return nil
	}
	n := o.Uint32(p)
	for b := p[4:]; n > 0 && len(b) >= 8; n, b = n-1, b[8:] {
		list = append(list, TokenSID{sidText(p, o.Uint32(b), o), o.Uint32(b[4:])})
	}
	return list
}

// sidText returns the SID at offset at as text; "" if there is none. A SID (winnt.h) is uint8 revision, uint8 count, 6 bytes of
// authority in big-endian order, and count uint32 values.
func sidText(p []byte, at uint32, o binary.ByteOrder) string {
	const head, most = 8, 15 // SID_MAX_SUB_AUTHORITIES
	if uint64(at)+head > uint64(len(p)) {
		return ""
	}
	p = p[at:]
	n := int(p[1])
	if p[0] != 1 || n > most || head+4*n > len(p) {
		return ""
	}
	text := append(make([]byte, 0, 64), "S-1-"...)
	authority := uint64(binary.BigEndian.Uint16(p[2:]))<<32 | uint64(binary.BigEndian.Uint32(p[4:]))
	text = strconv.AppendUint(text, authority, 10)
	for i := range n {
		text = strconv.AppendUint(append(text, '-'), uint64(o.Uint32(p[head+4*i:])), 10)
	}
	return string(text)
}
