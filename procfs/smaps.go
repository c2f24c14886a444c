package procfs

import "bytes"

// VMFlags is a set of flags of a mapping, from the VmFlags line of smaps (proc(5); show_smap_vma_flags in the kernel's
// fs/proc/task_mmu.c).
type VMFlags uint8

const (
	VMDontDump   VMFlags = 1 << iota // "dd": MADV_DONTDUMP
	VMIO                             // "io": device memory, where reads can have side effects
	VMPFNMap                         // "pf": likewise, or memory without a struct page
	VMHugeTLB                        // "ht": huge pages of hugetlbfs
	VMUserfault                      // "um", "uw" or "ui": a userfaultfd handles faults
	VMMixedMap                       // "mm": VM_MIXEDMAP, memory without a struct page among ordinary pages
	VMDontCopy                       // "dc": MADV_DONTFORK, or device memory
	VMWipeOnFork                     // "wf": MADV_WIPEONFORK
)

// FlaggedRange is a mapping with flags.
type FlaggedRange struct {
	Start, End uint64
	Flags      VMFlags
}

// SmapsReader parses the text of a smaps file, in pieces of any size, and records the mappings that have one of the flags in
// Want. Lines may be cut anywhere between two pieces. A line may be longer than the reader's own buffer, which only happens
// because of a file name.
type SmapsReader struct {
	Want VMFlags
	Out  []FlaggedRange // filled in ascending order of addresses
	N    int            // number of entries filled in
	More bool           // Out was full

	// Until is the address below which every mapping has been seen.
	Until uint64

	m    Mapping
	have bool // m is the mapping that the lines describe
	line [192]byte
	n    int  // bytes of an incomplete line
	long bool // that line is longer than what line contains
}

// Reset prepares r for a new text. It keeps Want and Out.
func (r *SmapsReader) Reset() {
	r.N, r.n, r.More, r.have, r.long, r.Until = 0, 0, false, false, false, 0
}

// Write parses the next piece of the text.
func (r *SmapsReader) Write(b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end >= 0 && r.n == 0 && !r.long {
			r.take(b[:end])
			b = b[end+1:]
			continue
		}
		part := b
		if end >= 0 {
			part = b[:end]
		}
		k := copy(r.line[r.n:], part)
		r.n += k
		r.long = r.long || k < len(part)
		if end < 0 {
			return
		}
		r.take(r.line[:r.n])
		r.n, r.long = 0, false
		b = b[end+1:]
	}
}

// take parses one line. The start of a line is enough: the columns of a mapping precede its name, and a VmFlags line is short.
func (r *SmapsReader) take(line []byte) {
	if hasPrefix(line, "VmFlags:") {
		if r.have {
			r.flags(vmFlags(line[len("VmFlags:"):]))
			r.Until, r.have = r.m.End, false
		}
		return
	}
	if len(line) == 0 || hexValue[line[0]] == 0xff {
		return
	}
	// The columns of Mapping, or a word such as "AnonHugePages:", which parseColumns rejects because it has no "-".
	if parseColumns(line, &r.m) >= 0 {
		r.have = true
	}
}

func (r *SmapsReader) flags(f VMFlags) {
	if f &= r.Want; f == 0 {
		return
	}
	if r.N == len(r.Out) {
		r.More = true
		return
	}
	r.Out[r.N] = FlaggedRange{r.m.Start, r.m.End, f}
	r.N++
}

// vmFlags parses words of two letters. It skips unknown ones.
func vmFlags(b []byte) (f VMFlags) {
	for len(b) >= 2 {
		if b[0] == ' ' {
			b = b[1:]
			continue
		}
		switch string(b[:2]) {
		case "dd":
			f |= VMDontDump
		case "io":
			f |= VMIO
		case "pf":
			f |= VMPFNMap
		case "mm":
			f |= VMMixedMap
		case "dc":
			f |= VMDontCopy
		case "wf":
			f |= VMWipeOnFork
		case "ht":
			f |= VMHugeTLB
		case "um", "uw", "ui":
			f |= VMUserfault
		}
		b = b[2:]
	}
	return f
}

// FlagsIn returns the flags of all ranges in list (in ascending order, as SmapsReader makes it) that overlap [start, end).
func FlagsIn(list []FlaggedRange, start, end uint64) (f VMFlags) {
	i, j := 0, len(list)
	for i < j {
		if mid := int(uint(i+j) / 2); list[mid].End <= start {
			i = mid + 1
		} else {
			j = mid
		}
	}
	for ; i < len(list) && list[i].Start < end; i++ {
		f |= list[i].Flags
	}
	return f
}
