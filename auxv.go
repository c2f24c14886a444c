package minidump

import "minidump/procfs"

// adoptAuxv takes from the auxiliary vector what the dump of a process needs.
func (s *snapshot) adoptAuxv(a *procfs.Auxv) {
	s.proc.phdr, s.proc.phnum, s.proc.phent = a.Phdr, a.Phnum, a.Phent
	s.proc.entry, s.proc.sysinfoEhdr, s.proc.ldBase = a.Entry, a.SysinfoEhdr, a.Base
	if p := a.PageSize; p >= 512 && p&(p-1) == 0 && p <= 1<<24 {
		s.target.pageSize = p
	}
}
