package main

import (
	"testing"

	"minidump/stream"
)

func TestTokenText(t *testing.T) {
	plain := newToken(&stream.TokenData{TokenInfo: stream.TokenInfo{TokenSize: 16, TokenID: 9, TokenHandle: 0x44}})
	if got, want := plain.text(), "handle 0x44 of process or thread 9, 16 B"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	d := &stream.TokenDetails{SessionID: 1, User: stream.TokenSID{SID: "S-1-5-18"}, Groups: []stream.TokenSID{{SID: "S-1-5-11", Attributes: 7}},
		Privileges: []stream.TokenPrivilege{{LUID: 2}, {LUID: 20, Attributes: 3}, {LUID: 36}, {LUID: 37, Attributes: 2}}, Impersonation: true}
	full := newToken(&stream.TokenData{TokenInfo: stream.TokenInfo{TokenSize: 72, TokenID: 9, TokenHandle: 0x44}, Details: d})
	const want = "handle 0x44 of thread 9, 72 B: user S-1-5-18, session 1, 1 group, 4 privileges (on: Debug, 0x25)"
	if got := full.text(); got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if full.Privileges[0] != "CreateToken" || full.Privileges[2] != "DelegateSessionUserImpersonate" {
		t.Errorf("privileges %q", full.Privileges)
	}
}
