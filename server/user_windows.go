package server

import "golang.org/x/sys/windows"

// userID is a security identifier, such as S-1-5-18.
type userID = string

func ownUser() (userID, error) { return userOf(windows.CurrentProcess()) }

func (p *Peer) user() userID { return p.SID }

// maxDescriptors returns false: Windows has no such limit.
func maxDescriptors() (n uint64, ok bool) { return 0, false }

// userOf returns the security identifier of the user that a process runs as, such as S-1-5-18.
func userOf(process windows.Handle) (string, error) {
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return "", err
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return "", err
	}
	return user.User.Sid.String(), nil
}
