package symbol

import (
	stdelf "debug/elf"
	"encoding/binary"
)

// Indexes of words in runtime.moduledata (runtime/symtab.go, since Go 1.18). The first word is the address of the table.
const (
	moduleNames   = 1 // of functions: a slice in the table
	moduleMinPC   = 20
	moduleMaxPC   = 21
	moduleText    = 22
	moduleEndText = 23
	moduleWords   = 24
)

// goText returns the address of runtime.text of a program that the C linker made and that has no symbols, or 0 if it can't be
// found. The address is in the linker's moduledata, which is found because it starts with the address of the table. In a
// position-independent program the words are in relocations.
func (e *elfFile) goText(table *stdelf.Section, left *Budget) uint64 {
	if e.Class != stdelf.ELFCLASS64 {
		return 0
	}
	text := e.Section(".text")
	valid := func(words func(i int) uint64) bool {
		start, end := words(moduleText), words(moduleEndText)
		return start >= text.Addr && end <= text.Addr+text.Size && start < end && words(moduleMinPC) >= start &&
			words(moduleMaxPC) <= end && words(moduleNames) > table.Addr && words(moduleNames) < table.Addr+table.Size
	}
	for _, name := range []string{".go.module", ".noptrdata", ".data", ".data.rel.ro"} {
		s := e.section(name)
		if s == nil {
			continue
		}
		b, err := readWhole(s, left)
		if err != nil {
			return 0
		}
		for at := 0; at+8*moduleWords <= len(b); at += 8 {
			words := func(i int) uint64 { return e.ByteOrder.Uint64(b[at+8*i:]) }
			if words(0) == table.Addr && valid(words) {
				return words(moduleText)
			}
		}
	}
	return e.relocatedGoText(table.Addr, left, valid)
}

// relocatedGoText is goText for relocations with addends (Elf64_Rela).
func (e *elfFile) relocatedGoText(table uint64, left *Budget, valid func(func(int) uint64) bool) uint64 {
	s := e.section(".rela.dyn")
	if s == nil {
		return 0
	}
	b, err := readWhole(s, left)
	if err != nil {
		return 0
	}
	var starts []uint64
	rela := func(do func(addr, addend uint64)) {
		for at := 0; at+24 <= len(b); at += 24 {
			do(e.ByteOrder.Uint64(b[at:]), e.ByteOrder.Uint64(b[at+16:]))
		}
	}
	rela(func(addr, addend uint64) {
		if addend == table && len(starts) < 16 {
			starts = append(starts, addr)
		}
	})
	for _, start := range starts {
		module := make([]byte, 8*moduleWords)
		rela(func(addr, addend uint64) {
			if off := addr - start; addr >= start && off < uint64(len(module)) && off%8 == 0 {
				binary.LittleEndian.PutUint64(module[off:], addend)
			}
		})
		words := func(i int) uint64 { return binary.LittleEndian.Uint64(module[8*i:]) }
		if valid(words) {
			return words(moduleText)
		}
	}
	return 0
}
