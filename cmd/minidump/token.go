package main

import (
	"fmt"
	"strings"

	"minidump/stream"
)

// newToken converts a token for output.
func newToken(t *stream.TokenData) token {
	out := token{ID: t.TokenID, Handle: hex(t.TokenHandle), Size: t.TokenSize}
	d := t.Details
	if d == nil {
		return out
	}
	sids := func(list []stream.TokenSID) (names []string) {
		for _, s := range list {
			names = append(names, s.SID)
		}
		return names
	}
	out.User, out.Session, out.Logon, out.Impersonation, out.PrimaryGroup = d.User.SID, d.SessionID, hex(d.Logon), d.Impersonation, d.PrimaryGroup
	out.Groups, out.RestrictedSIDs = sids(d.Groups), sids(d.RestrictedSIDs)
	for _, p := range d.Privileges {
		const SE_PRIVILEGE_ENABLED = 2 // winnt.h
		name := privilege(p.LUID)
		out.Privileges = append(out.Privileges, name)
		if p.Attributes&SE_PRIVILEGE_ENABLED != 0 {
			out.Enabled = append(out.Enabled, name)
		}
	}
	return out
}

// text returns the token in one line.
func (t *token) text() string {
	who := "process or thread"
	if t.Impersonation {
		who = "thread"
	}
	text := fmt.Sprintf("handle %v of %s %d, %s", t.Handle, who, t.ID, bytesText(uint64(t.Size)))
	if t.User != "" {
		text += fmt.Sprintf(": user %s, session %d, %s, %s", t.User, t.Session, count(len(t.Groups), "group"), count(len(t.Privileges), "privilege"))
	}
	if len(t.Enabled) > 0 {
		text += " (on: " + strings.Join(t.Enabled, ", ") + ")"
	}
	return text
}

// privileges are named as in winnt.h, without Se and Privilege; the first one has the LUID 2.
var privileges = strings.Fields(`CreateToken AssignPrimaryToken LockMemory IncreaseQuota MachineAccount Tcb Security TakeOwnership LoadDriver
	SystemProfile Systemtime ProfileSingleProcess IncreaseBasePriority CreatePagefile CreatePermanent Backup Restore Shutdown Debug Audit
	SystemEnvironment ChangeNotify RemoteShutdown Undock SyncAgent EnableDelegation ManageVolume Impersonate CreateGlobal
	TrustedCredManAccess Relabel IncreaseWorkingSet TimeZone CreateSymbolicLink DelegateSessionUserImpersonate`)

// privilege returns the name of the privilege with a LUID.
func privilege(luid uint64) string {
	if i := luid - 2; i < uint64(len(privileges)) {
		return privileges[i]
	}
	return fmt.Sprintf("%#x", luid)
}
