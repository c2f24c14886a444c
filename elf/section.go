package elf

// NumSections returns how many section headers the open image has, at most MaxSections. It is 0 if there are none or, in a
// memory image, if they are not mapped, as is usual.
func (r *Reader) NumSections() int {
	t, ok := r.sections()
	if !ok {
		return 0
	}
	return t.n
}

// FindSection returns the first section of that name. Unlike the contents that other methods look for, it may be of type
// SHT_NOBITS, which takes no place in the file, or compressed (SHF_COMPRESSED). Its address is that at link time:
// Image.Runtime converts it, if Flags has SHF_ALLOC. It returns false also if the section headers or their names are not
// there (NumSections).
func (r *Reader) FindSection(name string) (Section, bool) {
	return r.sectionNamed(name, true)
}

// findSection returns the first section of that name, if it has contents.
func (r *Reader) findSection(name string) (Section, bool) {
	return r.sectionNamed(name, false)
}

// sectionNamed returns the first section of that name. Unless any is set, it must have contents that can be read as they
// are.
func (r *Reader) sectionNamed(name string, any bool) (Section, bool) {
	t, ok := r.sections()
	if !ok || t.namesLen == 0 {
		return Section{}, false
	}
	for i := 1; i < t.n; i++ {
		s, ok := r.section(t.off, i)
		if !ok {
			break
		}
		if s.Type == SHT_NULL || !any && (s.Type == SHT_NOBITS || s.Flags&SHF_COMPRESSED != 0) {
			continue
		}
		if r.named(&t, s.Name, name) {
			return s, true
		}
	}
	return Section{}, false
}
