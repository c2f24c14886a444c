package elf

import (
	"bytes"
	stdmacho "debug/macho"
	"encoding/binary"
	"testing"
)

func TestMachPrograms(t *testing.T) {
	var slices [][]byte
	for _, goarch := range []string{"arm64", "amd64"} {
		t.Run(goarch, func(t *testing.T) {
			b := read(t, buildGo(t, "darwin", goarch))
			slices = append(slices, b)
			checkMach(t, b)
		})
	}
	if len(slices) != 2 {
		return
	}
	// A fat file of both, as lipo makes it.
	fat := binary.BigEndian.AppendUint32(nil, FAT_MAGIC)
	fat = binary.BigEndian.AppendUint32(fat, 2)
	off := uint32(16384)
	for i, cpu := range []uint32{CPU_TYPE_ARM64, CPU_TYPE_X86_64} {
		for _, v := range []uint32{cpu, uint32(i) * 3, off, uint32(len(slices[i])), 14} {
			fat = binary.BigEndian.AppendUint32(fat, v)
		}
		off = (off + uint32(len(slices[i])) + 16383) &^ 16383
	}
	fat = put(fat, 16384, slices[0])
	fat = put(fat, (16384+uint64(len(slices[0]))+16383)&^16383, slices[1])
	std, err := stdmacho.NewFatFile(bytes.NewReader(fat))
	if err != nil {
		t.Fatal(err)
	}
	h, ok := ParseFatHeader(fat)
	if !ok || h.Class != Class32 || int(h.Narch) != len(std.Arches) || h.TableSize() != 40 {
		t.Fatalf("fat header %+v %v", h, ok)
	}
	table := fat[FatHeaderSize:][:h.TableSize()]
	for i, want := range std.Arches {
		a, ok := h.Arch(table, i)
		if !ok || a.CPU != uint32(want.Cpu) || a.SubCPU != want.FatArchHeader.SubCpu || a.Off != uint64(want.Offset) || a.Size != uint64(want.Size) || a.Align != want.Align {
			t.Errorf("slice %d: %+v %v, debug/macho has %+v", i, a, ok, want.FatArchHeader)
		}
		if !bytes.Equal(fat[a.Off:][:a.Size], slices[i]) {
			t.Errorf("slice %d has other contents", i)
		}
	}
	if _, ok := h.Arch(table, 2); ok {
		t.Error("a third slice")
	}
	if _, ok := h.Arch(table[:39], 1); ok {
		t.Error("a slice of a cut table")
	}
	noAllocs(t, "FatHeader", func() {
		h, _ := ParseFatHeader(fat)
		h.Arch(table, 1)
	})
}

func checkMach(t *testing.T, b []byte) {
	t.Helper()
	std, err := stdmacho.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	h, ok := ParseMachHeader(b[:MachHeaderSize64])
	if !ok || h.CPU != uint32(std.Cpu) || h.SubCPU != std.SubCpu || h.FileType != uint32(std.Type) || h.Ncmds != std.Ncmd ||
		h.Sizeofcmds != std.Cmdsz || h.Flags != std.Flags || h.Order != std.ByteOrder {
		t.Errorf("header %+v %v, debug/macho has %+v", h, ok, std.FileHeader)
	}
	cmds := b[h.HeaderSize():][:h.CommandsSize()]
	m := h.Scan(cmds)
	if m.Commands != len(std.Loads) {
		t.Errorf("%d load commands, debug/macho has %d", m.Commands, len(std.Loads))
	}
	var uuid []byte
	platform := uint32(0)
	rest := cmds
	sections := 0
	for i, load := range std.Loads {
		c, r, ok := NextMachCommand(rest, h.Order)
		if !ok || !bytes.Equal(c.Data, load.Raw()) {
			t.Fatalf("load command %d: %x %v, debug/macho has %x", i, c.Data, ok, load.Raw())
		}
		rest = r
		switch c.Cmd {
		case LC_UUID:
			uuid = c.Data[8:24]
		case LC_BUILD_VERSION:
			platform = h.Order.Uint32(c.Data[8:])
		}
		seg, isSeg := load.(*stdmacho.Segment)
		s, ok := h.Segment(c)
		if ok != isSeg {
			t.Fatalf("load command %d: a segment: %v", i, ok)
		}
		if !ok {
			continue
		}
		if string(s.Name) != seg.Name || s.Vmaddr != seg.Addr || s.Vmsize != seg.Memsz || s.Off != seg.Offset || s.Filesz != seg.Filesz ||
			s.Maxprot != seg.Maxprot || s.Prot != seg.Prot || s.Nsects != seg.Nsect || s.Flags != seg.Flag {
			t.Errorf("segment %+v, debug/macho has %+v", s, seg.SegmentHeader)
		}
		for i := 0; ; i++ {
			x, ok := s.Section(i)
			if !ok {
				break
			}
			want := std.Sections[sections]
			sections++
			if string(x.Name) != want.Name || string(x.Segname) != want.Seg || x.Addr != want.Addr || x.Size != want.Size ||
				x.Off != want.Offset || x.Align != want.Align || x.Flags != want.Flags {
				t.Errorf("section %+v, debug/macho has %+v", x, want.SectionHeader)
			}
			if y, ok := s.SectionNamed(want.Name); !ok || y.Addr != x.Addr {
				t.Errorf("section %q is not found by its name", want.Name)
			}
		}
	}
	if sections != len(std.Sections) {
		t.Errorf("%d sections, debug/macho has %d", sections, len(std.Sections))
	}
	if !m.HasUUID || !bytes.Equal(m.UUID[:], uuid) || IsAllZero(m.UUID[:]) {
		t.Errorf("UUID %x, debug/macho has %x", m.UUID, uuid)
	}
	text := std.Segment("__TEXT")
	if !m.HasText || m.Text.Vmaddr != text.Addr || m.Text.Vmsize != text.Memsz {
		t.Errorf("__TEXT %+v, debug/macho has %+v", m.Text, text.SegmentHeader)
	}
	if m.Slide(text.Addr+0x4000) != 0x4000 {
		t.Errorf("slide %#x", m.Slide(text.Addr+0x4000))
	}
	if m.Platform != platform || platform != PLATFORM_MACOS || m.MinOS == 0 || m.IsDylib || m.IsDylinker {
		t.Errorf("platform %d from %#x, dylib %v, dylinker %v", m.Platform, m.MinOS, m.IsDylib, m.IsDylinker)
	}
	if string(m.Dylinker) != "/usr/lib/dyld" {
		t.Errorf("dynamic linker %q", m.Dylinker)
	}
	noAllocs(t, "the Mach-O functions", func() {
		h, _ := ParseMachHeader(b)
		m := h.Scan(cmds)
		m.Text.SectionNamed("__text")
	})
	// Go's build info is in __DATA here.
	x, ok := m.Data.SectionNamed("__go_buildinfo")
	if !m.HasData || !ok {
		t.Fatal("no section __go_buildinfo")
	}
	if v, mod, ok := FindGoBuildInfo(b[x.Off:][:x.Size]); !ok || !bytes.HasPrefix(v, []byte("go1.")) || string(GoMainPath(mod)) != "example.com/hello" {
		t.Errorf("Go build info %q %q %v", v, mod, ok)
	}
}

// machSynth builds a header and load commands of any class and byte order.
func machSynth(c Class, o binary.ByteOrder, cmds ...[]byte) []byte {
	a := o.(appender)
	magic, reserved := uint32(MH_MAGIC), 0
	if c == Class64 {
		magic, reserved = MH_MAGIC_64, 4
	}
	all := bytes.Join(cmds, nil)
	var b []byte
	for _, v := range []uint32{magic, 0x0100000c, 0x80000002, MH_DYLIB, uint32(len(cmds)), uint32(len(all)), 0x85} {
		b = a.AppendUint32(b, v)
	}
	return append(append(b, make([]byte, reserved)...), all...)
}

func machCommand(o binary.ByteOrder, cmd uint32, words []uint32, text string) []byte {
	a := o.(appender)
	for len(text)%8 != 0 {
		text += "\x00"
	}
	b := a.AppendUint32(nil, cmd)
	b = a.AppendUint32(b, uint32(8+4*len(words)+len(text)))
	for _, v := range words {
		b = a.AppendUint32(b, v)
	}
	return append(b, text...)
}

func TestMachKinds(t *testing.T) {
	for _, k := range kinds {
		o := k.order
		segName := "__TEXT\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		secName := "__unwind_info_16" // fills its field, no NUL
		s := synth{class: k.class, order: o}
		a := o.(appender)
		seg := []byte(segName)
		for _, v := range []uint64{0x10000, 0x4000, 0, 0x3000} {
			seg = s.word(seg, v)
		}
		for _, v := range []uint32{5, 5, 1, 0} {
			seg = a.AppendUint32(seg, v)
		}
		seg = append(append(seg, secName...), segName...)
		seg = s.word(s.word(seg, 0x10800), 0x80)
		for _, v := range []uint32{0x800, 4, 0, 0, 0x80000400, 0, 0} {
			seg = a.AppendUint32(seg, v)
		}
		cmd := uint32(LC_SEGMENT)
		if k.class == Class64 {
			cmd = LC_SEGMENT_64
			seg = append(seg, 0, 0, 0, 0)
		}
		b := machSynth(k.class, o,
			machCommand(o, cmd, nil, string(seg)),
			machCommand(o, LC_UUID, nil, "0123456789abcdef"),
			machCommand(o, LC_UUID, nil, "the second UUID!"),
			machCommand(o, LC_ID_DYLIB, []uint32{24, 77, 0x00051203, 0x00010000}, "/usr/lib/libx.5.dylib\x00"),
			machCommand(o, LC_ID_DYLINKER, []uint32{12}, "/usr/lib/dyld\x00"),
			machCommand(o, LC_VERSION_MIN_IPHONEOS, []uint32{0x000c0100, 0x000d0000}, ""),
			machCommand(o, LC_MAIN, []uint32{0, 0, 0, 0}, ""),
		)
		h, ok := ParseMachHeader(b)
		if !ok || h.Class != k.class || h.Order != o || h.CPU != CPU_TYPE_ARM64 || h.SubCPU != 0x80000002 || h.FileType != MH_DYLIB || h.Ncmds != 7 || h.Flags != 0x85 {
			t.Fatalf("%s: %+v %v", k.name, h, ok)
		}
		if _, ok := ParseMachHeader(b[:h.HeaderSize()-1]); ok {
			t.Errorf("%s: too short", k.name)
		}
		m := h.Scan(b[h.HeaderSize():])
		if m.Commands != 7 || string(m.UUID[:]) != "0123456789abcdef" || !m.HasUUID || string(m.DylibName) != "/usr/lib/libx.5.dylib" ||
			m.DylibTime != 77 || m.CurrentVersion != 0x51203 || m.CompatVersion != 0x10000 || !m.IsDylib ||
			string(m.Dylinker) != "/usr/lib/dyld" || !m.IsDylinker || m.Platform != PLATFORM_IOS || m.MinOS != 0xc0100 || m.SDK != 0xd0000 || !m.HasEntry {
			t.Errorf("%s: %+v", k.name, m)
		}
		if !m.HasText || string(m.Text.Name) != "__TEXT" || m.Text.Vmaddr != 0x10000 || m.Text.Vmsize != 0x4000 || m.Text.Filesz != 0x3000 || m.Text.Nsects != 1 {
			t.Errorf("%s: %+v", k.name, m.Text)
		}
		x, ok := m.Text.SectionNamed(secName)
		if !ok || string(x.Segname) != "__TEXT" || x.Addr != 0x10800 || x.Size != 0x80 || x.Off != 0x800 || x.Align != 4 || x.Flags != 0x80000400 {
			t.Errorf("%s: %+v %v", k.name, x, ok)
		}
		if _, ok := m.Text.SectionNamed("__text"); ok {
			t.Errorf("%s: a section that is not there", k.name)
		}
	}
}

func TestMachHostile(t *testing.T) {
	o := kinds[0].order
	for _, size := range []uint32{0, 7, 25, 0xffffffff} {
		b := machSynth(Class64, o, machCommand(o, LC_UUID, nil, "0123456789abcdef"))
		o.PutUint32(b[MachHeaderSize64+4:], size)
		h, _ := ParseMachHeader(b)
		if m := h.Scan(b[h.HeaderSize():]); m.HasUUID || m.Commands != 0 {
			t.Errorf("a command of %d bytes: %+v", size, m)
		}
	}
	// Texts that begin outside their command, commands too short for their type.
	for _, cmd := range [][]byte{
		machCommand(o, LC_ID_DYLIB, []uint32{0xffffffff, 0, 0, 0}, "name\x00"),
		machCommand(o, LC_ID_DYLIB, []uint32{7, 0, 0, 0}, "name\x00"),
		machCommand(o, LC_LOAD_DYLINKER, []uint32{200}, "name\x00"),
		machCommand(o, LC_LOAD_DYLINKER, nil, ""),
		machCommand(o, LC_UUID, nil, "01234567"),
		machCommand(o, LC_SEGMENT_64, nil, "__TEXT\x00"),
	} {
		b := machSynth(Class64, o, cmd)
		h, _ := ParseMachHeader(b)
		if m := h.Scan(b[h.HeaderSize():]); len(m.DylibName) != 0 || len(m.Dylinker) != 0 || m.HasUUID || m.HasText || m.Commands != 1 {
			t.Errorf("%x: %+v", cmd, m)
		}
	}
	// No more commands than the header states, in number and in bytes.
	uuid := machCommand(o, LC_UUID, nil, "0123456789abcdef")
	b := machSynth(Class64, o, machCommand(o, 99, nil, ""), uuid)
	h, _ := ParseMachHeader(b)
	h.Ncmds = 1
	if m := h.Scan(b[h.HeaderSize():]); m.HasUUID {
		t.Error("a command more than ncmds")
	}
	h.Ncmds, h.Sizeofcmds = 2, 8
	if m := h.Scan(b[h.HeaderSize():]); m.HasUUID {
		t.Error("a command behind sizeofcmds")
	}
	h.Sizeofcmds = 0xffffffff
	if h.CommandsSize() != MaxMachCommands {
		t.Errorf("%d bytes of commands", h.CommandsSize())
	}
	// A Java class file of version 52 has the magic of a fat file.
	if h, ok := ParseFatHeader([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 0, 0}); ok {
		t.Errorf("a class file: %+v", h)
	}
	for _, b := range [][]byte{nil, {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0}, {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0}, {0xcf, 0xfa, 0xed, 0xfe, 0, 0, 0, 1}} {
		if h, ok := ParseFatHeader(b); ok {
			t.Errorf("%x: %+v", b, h)
		}
	}
	// 64-bit slices.
	fat := []byte{0xca, 0xfe, 0xba, 0xbf, 0, 0, 0, 1, 1, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 14, 0, 0, 0, 0}
	fh, ok := ParseFatHeader(fat)
	if a, ok2 := fh.Arch(fat[8:], 0); !ok || !ok2 || a != (FatArch{CPU_TYPE_ARM64, 2, 1<<32 + 4, 2<<32 + 8, 14}) {
		t.Errorf("%+v %+v", fh, a)
	}
}
