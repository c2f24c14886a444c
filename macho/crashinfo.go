package macho

import "encoding/binary"

// CrashInfo is crashreporter_annotations_t of CrashReporterClient.h: the content of a library's section __crash_info, for the
// system's crash reports. Fields that its version lacks are 0. Texts are addresses of NUL-terminated strings in the task.
type CrashInfo struct {
	Version         uint64 // 4, 5, or 7 since macOS 26
	Message         uint64
	SignatureString uint64
	Backtrace       uint64
	Message2        uint64
	Thread          uint64
	DialogMode      uint32
	AbortCause      uint64 // since version 5
}

// Sizes of crashreporter_annotations_t in bytes. Fields are 64 bits wide in a 32-bit task too.
const (
	crashInfoSize4 = 56
	crashInfoSize5 = 64

	// MaxCrashInfo is the size of the largest known version, 7. ParseCrashInfo uses no more bytes.
	MaxCrashInfo = 328
)

// ParseCrashInfo reads the contents of a section __crash_info as far as known: newer versions are longer, and keep the fields of
// the older ones. It returns false if b is shorter than version 4, the first with this layout, or its version is lower.
func ParseCrashInfo(b []byte, o binary.ByteOrder) (CrashInfo, bool) {
	if len(b) < crashInfoSize4 {
		return CrashInfo{}, false
	}
	c := CrashInfo{
		Version: o.Uint64(b), Message: o.Uint64(b[8:]), SignatureString: o.Uint64(b[16:]), Backtrace: o.Uint64(b[24:]),
		Message2: o.Uint64(b[32:]), Thread: o.Uint64(b[40:]), DialogMode: o.Uint32(b[48:]),
	}
	if c.Version < 4 {
		return CrashInfo{}, false
	}
	if c.Version >= 5 && len(b) >= crashInfoSize5 {
		c.AbortCause = o.Uint64(b[56:])
	}
	return c, true
}

// crashInfoSegments are the segments in which linkers put __crash_info. That of dyld is in the second.
var crashInfoSegments = [...]string{"__DATA", "__DATA_DIRTY"}

// CrashInfoSection returns the section __crash_info of the image from cmds, the load commands that Scan has read.
func (im *Image) CrashInfoSection(cmds []byte) (Section, bool) {
	for _, segment := range crashInfoSegments {
		if s, ok := im.Section(cmds, segment, "__crash_info"); ok {
			return s, true
		}
	}
	return Section{}, false
}
