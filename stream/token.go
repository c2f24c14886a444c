package stream

import (
	"encoding/binary"

	"minidump/internal/errtext"
)

// TokenInfoListSize is the size of a TokenInfoList in bytes.
const TokenInfoListSize = 16

// TokenInfoList is the head of MINIDUMP_TOKEN_INFO_LIST; the tokens follow it, each with a TokenInfo as its head.
//
//	 0 uint32 TokenListSize
//	 4 uint32 TokenListEntries
//	 8 uint32 ListHeaderSize
//	12 uint32 ElementHeaderSize
type TokenInfoList struct {
	TokenListSize     uint32 // bytes of the stream, this head included
	TokenListEntries  uint32
	ListHeaderSize    uint32 // TokenInfoListSize
	ElementHeaderSize uint32 // TokenInfoSize
}

// Put writes the TokenInfoListSize bytes of r to b.
func (r *TokenInfoList) Put(b []byte, o binary.ByteOrder) {
	_ = b[TokenInfoListSize-1]
	o.PutUint32(b[0:], r.TokenListSize)
	o.PutUint32(b[4:], r.TokenListEntries)
	o.PutUint32(b[8:], r.ListHeaderSize)
	o.PutUint32(b[12:], r.ElementHeaderSize)
}

// Get reads r from the first TokenInfoListSize bytes of b.
func (r *TokenInfoList) Get(b []byte, o binary.ByteOrder) {
	_ = b[TokenInfoListSize-1]
	r.TokenListSize = o.Uint32(b[0:])
	r.TokenListEntries = o.Uint32(b[4:])
	r.ListHeaderSize = o.Uint32(b[8:])
	r.ElementHeaderSize = o.Uint32(b[12:])
}

// TokenInfoSize is the size of a TokenInfo in bytes.
const TokenInfoSize = 16

// TokenInfo is MINIDUMP_TOKEN_INFO_HEADER: the head of an access token of Windows. Bytes of an undocumented layout follow it: see
// TokenDetailsSize.
//
//	0 uint32 TokenSize
//	4 uint32 TokenId
//	8 uint64 TokenHandle
type TokenInfo struct {
	TokenSize   uint32 // bytes of the token, this head included
	TokenID     uint32 // the process or thread that the token belongs to
	TokenHandle uint64
}

// Put writes the TokenInfoSize bytes of r to b.
func (r *TokenInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[TokenInfoSize-1]
	o.PutUint32(b[0:], r.TokenSize)
	o.PutUint32(b[4:], r.TokenID)
	o.PutUint64(b[8:], r.TokenHandle)
}

// Get reads r from the first TokenInfoSize bytes of b.
func (r *TokenInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[TokenInfoSize-1]
	r.TokenSize = o.Uint32(b[0:])
	r.TokenID = o.Uint32(b[4:])
	r.TokenHandle = o.Uint64(b[8:])
}

// TokenData is a TokenInfo with the bytes that follow it.
type TokenData struct {
	TokenInfo
	Data    []byte        // after the head
	Details *TokenDetails // nil if the head does not state where the parts lie
}

// Tokens returns the tokens of the TokenStream.
func (f *File) Tokens() ([]TokenData, error) {
	b, err := f.fixed(TokenStream, TokenInfoListSize)
	if err != nil {
		return nil, err
	}
	var h TokenInfoList
	h.Get(b, f.Order)
	if h.ListHeaderSize < TokenInfoListSize || h.ElementHeaderSize < TokenInfoSize {
		return nil, errtext.Wrap(ErrFormat, TokenStream, " has a head of ", h.ListHeaderSize, " bytes and tokens of ",
			h.ElementHeaderSize)
	}
	if uint64(h.ListHeaderSize) > uint64(len(b)) {
		return nil, errtext.Wrap(ErrTruncated, TokenStream, " has a head of ", h.ListHeaderSize, " bytes")
	}
	b = b[h.ListHeaderSize:]
	var list []TokenData
	for i := range h.TokenListEntries {
		if uint64(len(b)) < uint64(h.ElementHeaderSize) {
			return list, errtext.Wrap(ErrTruncated, TokenStream, " has ", h.TokenListEntries, " tokens, and room for ", i)
		}
		var t TokenData
		t.Get(b, f.Order)
		if t.TokenSize < h.ElementHeaderSize || uint64(t.TokenSize) > uint64(len(b)) {
			return list, errtext.Wrap(ErrTruncated, TokenStream, ": a token of ", t.TokenSize, " bytes, and room for ", len(b))
		}
		t.Details = tokenDetails(b[:t.TokenSize], h.ElementHeaderSize, f.Order)
		t.Data = b[h.ElementHeaderSize:t.TokenSize:t.TokenSize]
		list = append(list, t)
		b = b[t.TokenSize:]
	}
	return list, nil
}
