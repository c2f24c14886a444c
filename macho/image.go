package macho

import "strconv"

// Platform is what an image was built for (PLATFORM_ of <mach-o/loader.h>).
type Platform uint32

// The platforms.
const (
	PLATFORM_MACOS             Platform = 1
	PLATFORM_IOS               Platform = 2
	PLATFORM_TVOS              Platform = 3
	PLATFORM_WATCHOS           Platform = 4
	PLATFORM_BRIDGEOS          Platform = 5
	PLATFORM_MACCATALYST       Platform = 6
	PLATFORM_IOSSIMULATOR      Platform = 7
	PLATFORM_TVOSSIMULATOR     Platform = 8
	PLATFORM_WATCHOSSIMULATOR  Platform = 9
	PLATFORM_DRIVERKIT         Platform = 10
	PLATFORM_VISIONOS          Platform = 11
	PLATFORM_VISIONOSSIMULATOR Platform = 12
)

var platformNames = [...]string{"unknown", "macOS", "iOS", "tvOS", "watchOS", "bridgeOS", "Mac Catalyst", "iOS simulator",
	"tvOS simulator", "watchOS simulator", "DriverKit", "visionOS", "visionOS simulator"}

// String returns the name of the platform, such as "macOS", "unknown" for 0, and the number of a platform without a name here.
func (p Platform) String() string {
	if int64(p) < int64(len(platformNames)) {
		return platformNames[p]
	}
	return strconv.FormatUint(uint64(p), 10)
}

// Version is a version X.Y.Z: X in 16 bits, Y and Z in 8 bits each.
type Version uint32

// Parts returns the three numbers.
func (v Version) Parts() (x uint16, y, z uint8) { return uint16(v >> 16), uint8(v >> 8), uint8(v) }

// String returns the version as "X.Y.Z".
func (v Version) String() string {
	x, y, z := v.Parts()
	return strconv.Itoa(int(x)) + "." + strconv.Itoa(int(y)) + "." + strconv.Itoa(int(z))
}

// MaxSegments is the number of segments of an image that are recorded. Linkers create some five; libraries of the shared cache
// have up to ten.
const MaxSegments = 32

// Text is the place of a text in the load commands of an image. If Len is 0 there is no text.
type Text struct{ Off, Len uint32 }

// In returns the text from cmds, the load commands, nil if they end before the text does.
func (t Text) In(cmds []byte) []byte {
	if uint64(t.Off)+uint64(t.Len) > uint64(len(cmds)) || t.Len == 0 {
		return nil
	}
	return cmds[t.Off : t.Off+t.Len : t.Off+t.Len]
}

// Image is an image as described by its load commands. It contains no pointers except Header.Order.
type Image struct {
	Header Header

	UUID    [16]byte // LC_UUID
	HasUUID bool

	Segments    [MaxSegments]Segment // in the order of the load commands
	NumSegments int

	// Slide is the difference between runtime and link-time addresses, wrapping; 0 until SetAddr.
	Slide uint64

	InstallName    Text // LC_ID_DYLIB
	CurrentVersion Version
	CompatVersion  Version
	Timestamp      uint32
	IsDylib        bool // it has an LC_ID_DYLIB

	Dylinker   Text // path in LC_LOAD_DYLINKER or LC_ID_DYLINKER
	IsDylinker bool // LC_ID_DYLINKER: this image is the dynamic linker

	Platform      Platform // LC_BUILD_VERSION or LC_VERSION_MIN_*; the first if there are several
	MinOS, SDK    Version
	SourceVersion uint64 // LC_SOURCE_VERSION: A.B.C.D.E in 24, 10, 10, 10 and 10 bits

	Entry    uint64 // LC_MAIN: offset of main from the start of __TEXT, bytes
	HasEntry bool

	Commands int // number of load commands read
}

// Scan fills im in from the load commands, which follow the header. It ends at the first malformed command, after Ncmds commands,
// or at the end of cmds. If a command occurs twice the first counts. Addresses are those at link time until SetAddr. It does not
// allocate.
func (im *Image) Scan(h *Header, cmds []byte) {
	*im = Image{Header: *h}
	cmds = cmds[:min(len(cmds), h.CommandsSize())]
	all := len(cmds)
	for im.more() {
		at := uint32(all - len(cmds))
		c, rest, ok := NextCommand(cmds, h.Order)
		if !ok {
			return
		}
		im.add(&c, at, uint32(len(c.Data)))
		cmds = rest
	}
}

// more reports whether, according to the header, there is another load command.
func (im *Image) more() bool { return im.Commands < int(min(im.Header.Ncmds, MaxCommands/commandHead)) }

// add reads a load command at offset at of the commands. size is the size that the command states; c may have less of it.
func (im *Image) add(c *Command, at, size uint32) {
	im.Commands++
	o := im.Header.Order
	switch c.Cmd {
	case LC_UUID:
		if len(c.Data) >= 24 && !im.HasUUID {
			im.UUID, im.HasUUID = [16]byte(c.Data[8:24]), true
		}
	case LC_SEGMENT, LC_SEGMENT_64:
		if s, ok := im.Header.segment(c, at, size); ok && im.NumSegments < MaxSegments {
			im.Segments[im.NumSegments] = s
			im.NumSegments++
		}
	case LC_ID_DYLIB: // struct dylib_command
		if len(c.Data) >= 24 && !im.IsDylib {
			im.IsDylib = true
			im.InstallName = c.text(&im.Header, at, 24)
			im.Timestamp = o.Uint32(c.Data[12:])
			im.CurrentVersion, im.CompatVersion = Version(o.Uint32(c.Data[16:])), Version(o.Uint32(c.Data[20:]))
		}
	case LC_LOAD_DYLINKER, LC_ID_DYLINKER: // struct dylinker_command
		if im.Dylinker.Len == 0 {
			im.Dylinker = c.text(&im.Header, at, 12)
			im.IsDylinker = c.Cmd == LC_ID_DYLINKER
		}
	case LC_SOURCE_VERSION: // struct source_version_command
		if len(c.Data) >= 16 && im.SourceVersion == 0 {
			im.SourceVersion = o.Uint64(c.Data[8:])
		}
	case LC_MAIN: // struct entry_point_command
		if len(c.Data) >= 24 && !im.HasEntry {
			im.Entry, im.HasEntry = o.Uint64(c.Data[8:]), true
		}
	default:
		im.addPlatform(c)
	}
}

// addPlatform reads LC_BUILD_VERSION and its predecessors: struct build_version_command, struct version_min_command.
func (im *Image) addPlatform(c *Command) {
	o, at := im.Header.Order, 8
	var p Platform
	switch c.Cmd {
	case LC_BUILD_VERSION:
		if len(c.Data) < 24 {
			return
		}
		p, at = Platform(o.Uint32(c.Data[8:])), 12
	case LC_VERSION_MIN_MACOSX:
		p = PLATFORM_MACOS
	case LC_VERSION_MIN_IPHONEOS:
		p = PLATFORM_IOS
	case LC_VERSION_MIN_TVOS:
		p = PLATFORM_TVOS
	case LC_VERSION_MIN_WATCHOS:
		p = PLATFORM_WATCHOS
	default:
		return
	}
	if len(c.Data) >= 16 && im.Platform == 0 {
		im.Platform, im.MinOS, im.SDK = p, Version(o.Uint32(c.Data[at:])), Version(o.Uint32(c.Data[at+4:]))
	}
}

// text returns the place in the load commands of a command's text, whose offset is at 8.
func (c *Command) text(h *Header, at uint32, head int) Text {
	off, size := c.lcStr(h.Order, 8, head)
	return Text{at + off, size}
}

// Segment returns the first segment of that name, nil if there is none.
func (im *Image) Segment(name string) *Segment {
	for i := range im.NumSegments {
		if s := &im.Segments[i]; s.Name.Is(name) {
			return s
		}
	}
	return nil
}

// SetAddr sets Slide, given the runtime address addr of the image's header. It returns false and does not change Slide if the
// image has no segment __TEXT, the one that contains the header.
//
// All segments have the same slide, also in the shared cache, whose images dyld moves together.
func (im *Image) SetAddr(addr uint64) bool {
	text := im.Segment("__TEXT")
	if text == nil {
		return false
	}
	im.Slide = (addr - text.Addr) & im.Header.mask()
	return true
}

// Runtime returns the runtime address of the link-time address addr.
func (im *Image) Runtime(addr uint64) uint64 { return (addr + im.Slide) & im.Header.mask() }

// Find returns the segment that contains the runtime address addr, nil if there is none. It skips segments that allow no access,
// such as __PAGEZERO.
func (im *Image) Find(addr uint64) *Segment {
	addr = (addr - im.Slide) & im.Header.mask()
	for i := range im.NumSegments {
		if s := &im.Segments[i]; s.Maxprot != 0 && s.holds(addr, 1) {
			return s
		}
	}
	return nil
}

// Section returns the first section of that name in a segment of that name, from cmds, the load commands that Scan has read. It
// returns false if there is none, or it does not lie in its segment. Segments without memory (Size 0) are in the file only, and
// the addresses of their sections are meaningless.
func (im *Image) Section(cmds []byte, segment, section string) (Section, bool) {
	size := im.Header.sectionSize()
	for i := range im.NumSegments {
		s := &im.Segments[i]
		if !s.Name.Is(segment) {
			continue
		}
		for k := range int(s.nsects) {
			at := int(s.sections) + k*size
			if at+size > len(cmds) {
				break
			}
			if x := im.Header.section(cmds[at : at+size]); x.Name.Is(section) && s.owns(&x) {
				return x, true
			}
		}
	}
	return Section{}, false
}
