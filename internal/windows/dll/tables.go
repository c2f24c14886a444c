package dll

import "minidump/pe"

// tables is the section .rdata while it is built, and the directories that point into it.
type tables struct {
	b           []byte
	word        int      // size of a pointer
	unwindAt    []uint32 // RVAs of the functions' unwind information
	directories [pe.IMAGE_NUMBEROF_DIRECTORY_ENTRIES]pe.Directory
}

// add appends n zero bytes, aligned to a pointer, and returns their RVA and a slice of them, which is valid until the next add.
func (d *tables) add(n int) (uint32, []byte) {
	d.b = append(d.b, make([]byte, -len(d.b)&(d.word-1))...)
	at := len(d.b)
	d.b = append(d.b, make([]byte, n)...)
	return dataRVA + uint32(at), d.b[at:]
}

// text appends a zero-terminated string, and returns its RVA.
func (d *tables) text(s string) uint32 {
	at := dataRVA + uint32(len(d.b))
	d.b = append(append(d.b, s...), 0)
	return at
}

// bytes returns the section's bytes from an RVA on.
func (d *tables) bytes(rva uint32) []byte { return d.b[rva-dataRVA:] }

// imports writes the import address table, which must be first in the section, then the table of names and the
// IMAGE_IMPORT_DESCRIPTORs.
func (d *tables) imports(from string, names []string) {
	if from == "" {
		return
	}
	const descriptor = 20
	size := (len(names) + 1) * d.word
	addresses, _ := d.add(size)
	lookup, _ := d.add(size)
	descriptors, _ := d.add(2 * descriptor)
	for i, name := range names {
		at, _ := d.add(2) // hint
		d.text(name)
		le.PutUint32(d.bytes(addresses+uint32(i*d.word)), at)
		le.PutUint32(d.bytes(lookup+uint32(i*d.word)), at)
	}
	library := d.text(from)
	x := d.bytes(descriptors)
	le.PutUint32(x, lookup)         // OriginalFirstThunk
	le.PutUint32(x[12:], library)   // Name
	le.PutUint32(x[16:], addresses) // FirstThunk
	d.directories[pe.IMAGE_DIRECTORY_ENTRY_IMPORT] = pe.Directory{RVA: descriptors, Size: 2 * descriptor}
	d.directories[pe.IMAGE_DIRECTORY_ENTRY_IAT] = pe.Directory{RVA: addresses, Size: uint32(size)}
}

// exports writes an IMAGE_EXPORT_DIRECTORY with its tables: addresses, names, and ordinals, which start at 0.
func (d *tables) exports(library string, list []Export) {
	const directory = 40
	n := len(list)
	start, _ := d.add(directory + 4*n + 4*n + 2*n)
	functions := start + directory
	names := functions + uint32(4*n)
	ordinals := names + uint32(4*n)
	name := d.text(library)
	for i, e := range list {
		at := d.text(e.Name)
		le.PutUint32(d.bytes(functions+uint32(4*i)), codeRVA+e.Offset)
		le.PutUint32(d.bytes(names+uint32(4*i)), at)
		le.PutUint16(d.bytes(ordinals+uint32(2*i)), uint16(i))
	}
	x := d.bytes(start)
	le.PutUint32(x[12:], name)
	le.PutUint32(x[16:], 1) // Base: the ordinal of the first export
	le.PutUint32(x[20:], uint32(n))
	le.PutUint32(x[24:], uint32(n))
	le.PutUint32(x[28:], functions)
	le.PutUint32(x[32:], names)
	le.PutUint32(x[36:], ordinals)
	d.directories[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.Directory{RVA: start, Size: dataRVA + uint32(len(d.b)) - start}
}

// unwind writes the unwind information of the functions in list; the method functions later refers to it.
func (d *tables) unwind(list []Function) {
	for _, f := range list {
		at, b := d.add(len(f.Unwind))
		copy(b, f.Unwind)
		d.unwindAt = append(d.unwindAt, at)
	}
}

// functions returns a section with a RUNTIME_FUNCTION for each function. On arm64 a RUNTIME_FUNCTION has no end: the length is in
// the unwind information.
func (d *tables) functions(rva uint32, list []Function, machine uint16) (b []byte) {
	for i, f := range list {
		b = le.AppendUint32(b, codeRVA+f.Begin)
		if machine != pe.IMAGE_FILE_MACHINE_ARM64 {
			b = le.AppendUint32(b, codeRVA+f.End)
		}
		b = le.AppendUint32(b, d.unwindAt[i])
	}
	d.directories[pe.IMAGE_DIRECTORY_ENTRY_EXCEPTION] = pe.Directory{RVA: rva, Size: uint32(len(b))}
	return b
}

// relocations returns a section with an IMAGE_BASE_RELOCATION that changes nothing: two entries of the type
// IMAGE_REL_BASED_ABSOLUTE. Not every version of Windows can load a library without relocations at another address.
func (d *tables) relocations(rva uint32) []byte {
	b := make([]byte, 12)
	le.PutUint32(b, codeRVA)
	le.PutUint32(b[4:], uint32(len(b)))
	d.directories[pe.IMAGE_DIRECTORY_ENTRY_BASERELOC] = pe.Directory{RVA: rva, Size: uint32(len(b))}
	return b
}
