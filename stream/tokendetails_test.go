package stream

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// appendOrder is a byte order that appends too.
type appendOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// tokenPart is a part of a token: uint32 values, then SIDs.
func tokenPart(o appendOrder, values []uint32, sids ...[]byte) []byte {
	var b []byte
	for _, v := range values {
		b = o.AppendUint32(b, v)
	}
	return append(b, bytes.Join(sids, nil)...)
}

// sid is a SID of authority 5.
func sid(o appendOrder, parts ...uint32) []byte {
	return append([]byte{1, byte(len(parts)), 0, 0, 0, 0, 0, 5}, tokenPart(o, parts)...)
}

// tokenOf assembles a token from parts.
func tokenOf(o appendOrder, parts [TokenParts][]byte) []byte {
	b := make([]byte, TokenDetailsSize)
	for i, p := range parts {
		o.PutUint32(b[TokenInfoSize+8*i:], uint32(len(b)))
		o.PutUint32(b[TokenInfoSize+8*i+4:], uint32(len(p)))
		b = append(b, p...)
		b = append(b, make([]byte, -len(b)&7)...)
	}
	(&TokenInfo{TokenSize: uint32(len(b)), TokenID: 9}).Put(b, o)
	return b
}

func TestTokenDetails(t *testing.T) {
	for _, o := range []appendOrder{binary.LittleEndian, binary.BigEndian} {
		stats := make([]byte, 56)
		o.PutUint64(stats[8:], 0x3e7)
		o.PutUint32(stats[24:], 2)
		b := tokenOf(o, [TokenParts][]byte{
			TokenPartSessionID: tokenPart(o, []uint32{3}),
			TokenPartUser:      tokenPart(o, []uint32{8, 0}, sid(o, 18)),
			// Two groups: their SIDs have 12 and 16 bytes, after 4+2*8 bytes and padding.
			TokenPartGroups:       tokenPart(o, []uint32{2, 24, 7, 36, 0x60, 0}, sid(o, 11), sid(o, 32, 544)),
			TokenPartPrimaryGroup: tokenPart(o, []uint32{8}, sid(o, 21, 1, 2, 3, 513)),
			TokenPartPrivileges:   append(o.AppendUint32(o.AppendUint64(o.AppendUint32(nil, 1), 20), 3), 0xff),
			TokenPartStatistics:   stats,
		})
		want := &TokenDetails{SessionID: 3, User: TokenSID{"S-1-5-18", 0}, Groups: []TokenSID{{"S-1-5-11", 7}, {"S-1-5-32-544", 0x60}},
			PrimaryGroup: "S-1-5-21-1-2-3-513", Privileges: []TokenPrivilege{{20, 3}}, Logon: 0x3e7, Impersonation: true}
		if got := tokenDetails(b, TokenDetailsSize, o); !reflect.DeepEqual(got, want) {
			t.Errorf("%v:\n%+v, not\n%+v", o, got, want)
		}
		if tokenDetails(b, TokenInfoSize, o) != nil {
			t.Error("details without a head for them")
		}
	}
}

// FuzzTokenDetails checks that tokenDetails does not trust the content of a token.
func FuzzTokenDetails(f *testing.F) {
	o := appendOrder(binary.LittleEndian)
	f.Add(tokenOf(o, [TokenParts][]byte{TokenPartUser: tokenPart(o, []uint32{8, 0}, sid(o, 18)), TokenPartGroups: tokenPart(o, []uint32{1 << 31, 12, 7}, sid(o, 11))}))
	f.Add(make([]byte, TokenDetailsSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := tokenDetails(b, TokenDetailsSize, o)
		if (d == nil) != (len(b) < TokenDetailsSize) {
			t.Fatalf("%d bytes: %+v", len(b), d)
		}
		if d != nil && 12*(len(d.Privileges)) > len(b) {
			t.Fatalf("%d privileges in %d bytes", len(d.Privileges), len(b))
		}
	})
}
