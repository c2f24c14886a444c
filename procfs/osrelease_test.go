package procfs

import (
	"strings"
	"testing"
)

const osReleaseText = "# comment ID=bad\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\nID=debian\n" +
	"HOME_URL=\"a\\\"b\\$c\\\\d\\`e\\n\"\nMIXED=a\"b c\"'d e'f g\nPLAIN=a\\ b\\\\c\nEMPTY=\nQUOTED_EMPTY=\"\"\n" +
	"  INDENTED=yes  \nID=last\nOPEN=\"never closed\nTAIL=\\"

func TestParseOSRelease(t *testing.T) {
	tests := []struct {
		key, want string
		ok        bool
	}{
		{"PRETTY_NAME", "Debian GNU/Linux 12 (bookworm)", true},
		{"VERSION_ID", "12", true},
		{"ID", "last", true},
		{"HOME_URL", "a\"b$c\\d`e\\n", true},
		{"MIXED", "ab cd ef", true},
		{"PLAIN", `a b\c`, true},
		{"EMPTY", "", true},
		{"QUOTED_EMPTY", "", true},
		{"INDENTED", "yes", true},
		{"OPEN", "never closed", true},
		{"TAIL", `\`, true},
		{"VERSION", "", false},
		{"NAME", "", false},
		{"I", "", false},
		{"", "", false},
	}
	for _, test := range tests {
		value, ok := ParseOSRelease([]byte(osReleaseText), test.key, make([]byte, 64))
		if string(value) != test.want || ok != test.ok {
			t.Errorf("%q: %q, %v; want %q", test.key, value, ok, test.want)
		}
	}
	if value, ok := ParseOSRelease([]byte(osReleaseText), "PRETTY_NAME", make([]byte, 6)); string(value) != "Debian" || !ok {
		t.Errorf("into 6 bytes: %q, %v", value, ok)
	}
}

func TestParseBuildProp(t *testing.T) {
	const text = "# begin\n#ro.build.id=no\nro.build.id=TQ3A.230805.001\n ro.build.fingerprint = google/x:13/T = y \r\n" +
		"ro.build.id=second\nro.empty=\nro.last=z"
	tests := []struct {
		key, want string
		missing   bool
	}{
		{"ro.build.id", "TQ3A.230805.001", false},
		{"ro.build.fingerprint", "google/x:13/T = y", false},
		{"ro.empty", "", false},
		{"ro.last", "z", false},
		{"ro.build", "", true},
		{"", "", true},
	}
	for _, test := range tests {
		got := ParseBuildProp([]byte(text), test.key)
		if string(got) != test.want || (got == nil) != test.missing {
			t.Errorf("%q: %q (nil: %v)", test.key, got, got == nil)
		}
	}
}

func TestParseKernelVersion(t *testing.T) {
	tests := []struct {
		text string
		want [3]uint32
	}{
		{"6.18.44-fc-v657", [3]uint32{6, 18, 44}},
		{"5.10.157-android13-4-00001-gabc\n", [3]uint32{5, 10, 157}},
		{"6.1-rc3", [3]uint32{6, 1, 0}},
		{"4.4.0", [3]uint32{4, 4, 0}},
		{"3.10.0-1160.el7.x86_64", [3]uint32{3, 10, 0}},
		{"2.6.32.59", [3]uint32{2, 6, 32}},
		{"7", [3]uint32{7, 0, 0}},
		{"7.", [3]uint32{7, 0, 0}},
		{"", [3]uint32{}},
		{"x.1.2", [3]uint32{}},
		{"4294967296.4294967295.99999999999999999999", [3]uint32{0, 4294967295, 0}},
	}
	for _, test := range tests {
		major, minor, build := ParseKernelVersion([]byte(test.text))
		if got := [3]uint32{major, minor, build}; got != test.want {
			t.Errorf("%q: %v", test.text, got)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add([]byte(osReleaseText), "ID")
	f.Add([]byte("A=\"\\"), "A")
	f.Add([]byte("ro.build.id=1"), "ro.build.id")
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		dst := make([]byte, 16)
		value, ok := ParseOSRelease(text, key, dst)
		if ok && !strings.Contains(string(text), key+"=") || !ok && value != nil {
			t.Fatalf("%q, %q: %q, %v", text, key, value, ok)
		}
		if v := ParseBuildProp(text, key); v != nil && !strings.Contains(string(text), string(v)) {
			t.Fatalf("%q, %q: %q", text, key, v)
		}
		ParseKernelVersion(text)
	})
}

func TestFileTypeName(t *testing.T) {
	tests := []struct {
		mode uint32
		want string
	}{
		{0o100644, "File"}, {0o040755, "Directory"}, {0o010600, "Pipe"}, {0o140777, "Socket"}, {0o020620, "Char"},
		{0o060660, "Block"}, {0o120777, "Link"}, {0o000600, "anon_inode"}, {0o170000, ""}, {0o030000, ""},
	}
	for _, test := range tests {
		if got := FileTypeName(test.mode); got != test.want {
			t.Errorf("%o: %q, want %q", test.mode, got, test.want)
		}
	}
}
