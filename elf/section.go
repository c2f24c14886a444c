package elf

// NumSections returns the number of section headers of the open image, at most MaxSections. It is 0 if there are none or, as is
// usual in a memory image, they are not mapped.
func (r *Reader) NumSections() int {
	t, ok := r.sections()
	if !ok {
		return 0
	}
	return t.n
}

// FindSection returns the first section of that name. It returns false if there is none, or if the section headers or their names
// are not available (NumSections).
//
// Unlike the sections that other methods read, it may be of type SHT_NOBITS, which has no contents in the file, or compressed
// (SHF_COMPRESSED). Its address is that at link time: Image.Runtime converts it, if Flags has SHF_ALLOC.
func (r *Reader) FindSection(name string) (Section, bool) {
	return r.sectionNamed(name, true)
}

// findSection returns the first section of that name, if it has contents.
func (r *Reader) findSection(name string) (Section, bool) {
	return r.sectionNamed(name, false)
}

// sectionNamed returns the first section of that name. Unless any is set, the section must have contents that are not compressed.
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
