package macho

import (
	"testing"
)

// TestScanKinds reads an image with every load command that this package supports, of all word sizes and byte orders.
func TestScanKinds(t *testing.T) {
	const secName = "__unwind_info_16" // fills its field, no NUL
	for _, k := range kinds {
		o := k.order
		b := synth(k.is64, o,
			synthSegment(k.is64, o, "__TEXT", 0x10000, 0x4000, 0, synthSection{secName, 0x10800, 0x80, 0x800}),
			command(o, LC_UUID, nil, "0123456789abcdef"),
			command(o, LC_UUID, nil, "the second UUID!"),
			command(o, LC_ID_DYLIB, []uint32{24, 77, 0x00051203, 0x00010000}, "/usr/lib/libx.5.dylib\x00"),
			command(o, LC_ID_DYLINKER, []uint32{12}, "/usr/lib/dyld\x00"),
			command(o, LC_VERSION_MIN_IPHONEOS, []uint32{0x000c0100, 0x000d0000}, ""),
			command(o, LC_BUILD_VERSION, []uint32{1, 0x000c0100, 0x000d0000, 0}, ""),
			command(o, LC_MAIN, []uint32{0, 0, 0, 0}, ""),
			command(o, LC_SOURCE_VERSION, []uint32{3, 3}, ""),
		)
		h, ok := ParseHeader(b)
		if !ok || h.Is64 != k.is64 || h.Order != o || h.CPU != CPU_TYPE_ARM64 || h.SubCPU != 0x80000002 || h.FileType != MH_DYLIB || h.Ncmds != 9 || h.Flags != 0x85 {
			t.Fatalf("%s: %+v %v", k.name, h, ok)
		}
		if _, ok := ParseHeader(b[:h.Size()-1]); ok {
			t.Errorf("%s: too short", k.name)
		}
		im, cmds := scan(t, b)
		if im.Commands != 9 || string(im.UUID[:]) != "0123456789abcdef" || !im.HasUUID || string(im.InstallName.In(cmds)) != "/usr/lib/libx.5.dylib" ||
			im.Timestamp != 77 || im.CurrentVersion.String() != "5.18.3" || im.CompatVersion.String() != "1.0.0" || !im.IsDylib ||
			string(im.Dylinker.In(cmds)) != "/usr/lib/dyld" || !im.IsDylinker || im.Platform != PLATFORM_IOS || im.MinOS != 0xc0100 || im.SDK != 0xd0000 ||
			!im.HasEntry || im.SourceVersion != 3<<32|3 {
			t.Errorf("%s: %+v", k.name, im)
		}
		s := im.Segment("__TEXT")
		if s == nil || s.Addr != 0x10000 || s.Size != 0x4000 || s.Filesz != 0x4000 || s.Nsects != 1 || s.Name.String() != "__TEXT" {
			t.Fatalf("%s: %+v", k.name, s)
		}
		x, ok := im.Section(cmds, "__TEXT", secName)
		if !ok || !x.Segment.Is("__TEXT") || x.Addr != 0x10800 || x.Size != 0x80 || x.Off != 0x800 || x.Align != 4 || x.Flags != 0x80000400 {
			t.Errorf("%s: %+v %v", k.name, x, ok)
		}
		for _, name := range [][2]string{{"__TEXT", "__text"}, {"__DATA", secName}} {
			if _, ok := im.Section(cmds, name[0], name[1]); ok {
				t.Errorf("%s: section %q, which is not there", k.name, name)
			}
		}
		r := NewReader(nil)
		if !r.OpenFile(&Bytes{B: b}, 0) || r.Image != *im {
			t.Errorf("%s: a Reader reads %+v, not %+v", k.name, r.Image, *im)
		}
		if y, ok := r.Section("__TEXT", secName); !ok || y != x {
			t.Errorf("%s: a Reader finds %+v %v", k.name, y, ok)
		}
		if string(r.InstallName()) != "/usr/lib/libx.5.dylib" || string(r.Dylinker()) != "/usr/lib/dyld" {
			t.Errorf("%s: a Reader reads %q and %q", k.name, r.InstallName(), r.Dylinker())
		}
	}
}

// TestSlide moves an image, including below its link-time address and to the end of the address space.
func TestSlide(t *testing.T) {
	for _, k := range kinds {
		im, _ := scan(t, synth(k.is64, k.order,
			synthSegment(k.is64, k.order, "__DATA", 0x9000, 0x1000, 0x4000),
			synthSegment(k.is64, k.order, "__TEXT", 0x5000, 0x4000, 0)))
		if im.Slide != 0 || im.Runtime(0x9010) != 0x9010 {
			t.Errorf("%s: a slide before SetAddr", k.name)
		}
		for _, addr := range []uint64{0x5000, 0x1000, 0x7654000, im.Header.mask() - 0xfff} {
			want := (addr + 0x4010) & im.Header.mask()
			if !im.SetAddr(addr) || im.Runtime(0x9010) != want || im.Runtime(0x5000) != addr {
				t.Errorf("%s at %#x: __DATA+0x10 is at %#x, not %#x", k.name, addr, im.Runtime(0x9010), want)
			}
			if s := im.Find(want); s == nil || !s.Name.Is("__DATA") {
				t.Errorf("%s at %#x: %#x is in %+v", k.name, addr, want, s)
			}
			if s := im.Find(addr - 1); s != nil {
				t.Errorf("%s at %#x: what lies before the header is in %+v", k.name, addr, s)
			}
		}
	}
	im, _ := scan(t, synth(true, kinds[0].order, synthSegment(true, kinds[0].order, "__DATA", 0x9000, 0x1000, 0)))
	if im.SetAddr(0x1000) || im.Slide != 0 {
		t.Error("a slide without __TEXT")
	}
}

func TestHostile(t *testing.T) {
	o := kinds[0].order
	for _, size := range []uint32{0, 7, 25, 0xffffffff} {
		b := synth(true, o, command(o, LC_UUID, nil, "0123456789abcdef"))
		o.PutUint32(b[HeaderSize64+4:], size)
		if im, _ := scan(t, b); im.HasUUID || im.Commands != 0 {
			t.Errorf("a command of %d bytes: %+v", size, im)
		}
		if r := NewReader(nil); !r.OpenFile(&Bytes{B: b}, 0) || r.Image.Commands != 0 {
			t.Errorf("a command of %d bytes, read: %+v", size, r.Image)
		}
	}
	// Texts that start outside their command, and commands too short for their type.
	for _, cmd := range [][]byte{
		command(o, LC_ID_DYLIB, []uint32{0xffffffff, 0, 0, 0}, "name\x00"),
		command(o, LC_ID_DYLIB, []uint32{7, 0, 0, 0}, "name\x00"),
		command(o, LC_LOAD_DYLINKER, []uint32{200}, "name\x00"),
		command(o, LC_LOAD_DYLINKER, nil, ""),
		command(o, LC_UUID, nil, "01234567"),
		command(o, LC_SEGMENT_64, nil, "__TEXT\x00"),
		command(o, LC_BUILD_VERSION, []uint32{1}, ""),
		command(o, LC_VERSION_MIN_MACOSX, nil, ""),
	} {
		im, cmds := scan(t, synth(true, o, cmd))
		if im.InstallName.In(cmds) != nil || im.Dylinker.In(cmds) != nil || im.HasUUID || im.NumSegments != 0 || im.Platform != 0 || im.Commands != 1 {
			t.Errorf("%x: %+v", cmd, im)
		}
	}
	// Only as many commands are read as the header states, in number and in bytes.
	uuid := command(o, LC_UUID, nil, "0123456789abcdef")
	b := synth(true, o, command(o, 99, nil, ""), uuid)
	h, _ := ParseHeader(b)
	var im Image
	h.Ncmds = 1
	if im.Scan(&h, b[h.Size():]); im.HasUUID {
		t.Error("a command more than ncmds")
	}
	h.Ncmds, h.Sizeofcmds = 2, 8
	if im.Scan(&h, b[h.Size():]); im.HasUUID {
		t.Error("a command behind sizeofcmds")
	}
	h.Sizeofcmds = 0xffffffff
	if h.CommandsSize() != MaxCommands {
		t.Errorf("%d bytes of commands", h.CommandsSize())
	}
	// A text that was in commands which are no longer available.
	if s := (Text{8, 0xffffffff}).In(b); s != nil {
		t.Errorf("%d bytes of text", len(s))
	}
}

// TestHostileSegments checks that a segment of the other word size has no sections, that sections outside their segment are not
// found, and that the number of segments is bounded.
func TestHostileSegments(t *testing.T) {
	o := kinds[0].order
	im, cmds := scan(t, synth(true, o, synthSegment(false, o, "__TEXT", 0x1000, 0x1000, 0, synthSection{"__text", 0x1000, 8, 0}, synthSection{"__text", 0x1000, 8, 0})))
	if _, ok := im.Section(cmds, "__TEXT", "__text"); ok || im.NumSegments != 1 {
		t.Errorf("a 32-bit section in a 64-bit image: %+v", im)
	}
	for _, x := range []synthSection{{"__s", 0xfff, 8, 0}, {"__s", 0x1ff9, 8, 0}, {"__s", 0x1ff8, ^uint64(0), 0}, {"__s", ^uint64(0), 2, 0}} {
		im, cmds := scan(t, synth(true, o, synthSegment(true, o, "__DATA", 0x1000, 0x1000, 0, x)))
		if y, ok := im.Section(cmds, "__DATA", "__s"); ok {
			t.Errorf("a section outside its segment: %+v", y)
		}
	}
	var many [][]byte
	for range MaxSegments + 3 {
		many = append(many, synthSegment(true, o, "__X", 0, 1, 0))
	}
	if im, _ := scan(t, synth(true, o, many...)); im.NumSegments != MaxSegments || im.Commands != len(many) {
		t.Errorf("%d segments kept of %d", im.NumSegments, im.Commands)
	}
	// nsects states more sections than fit in the command.
	b := synth(true, o, synthSegment(true, o, "__DATA", 0x1000, 0x1000, 0, synthSection{"__s", 0x1000, 8, 0}),
		synthSegment(true, o, "__t\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0x1000, 0x1000, 0, synthSection{"__t", 0x1000, 8, 0}))
	o.PutUint32(b[HeaderSize64+64:], 0xffffffff)
	im, cmds = scan(t, b)
	if _, ok := im.Section(cmds, "__DATA", "__t"); ok {
		t.Error("a section of the next command")
	}
	if _, ok := im.Section(cmds, "__DATA", "__s"); !ok {
		t.Error("the section that is there is not found")
	}
}

func TestNames(t *testing.T) {
	for p, want := range map[Platform]string{0: "unknown", PLATFORM_MACOS: "macOS", PLATFORM_VISIONOSSIMULATOR: "visionOS simulator", 13: "13", 0xffffffff: "4294967295"} {
		if p.String() != want {
			t.Errorf("platform %d is %q", uint32(p), p)
		}
	}
	if x, y, z := Version(0x12340506).Parts(); x != 0x1234 || y != 5 || z != 6 {
		t.Errorf("version %d.%d.%d", x, y, z)
	}
}
