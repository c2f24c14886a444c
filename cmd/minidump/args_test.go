package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args, out, sanitize, rest string
		verbose                   bool
	}{
		{"12", "", "-", "12", false},
		{"-o f 12", "f", "-", "12", false},
		{"12 -of", "f", "-", "12", false},
		{"--output=f 12 -v", "f", "-", "12", true},
		{"--output f -v 12", "f", "-", "12", true},
		{"--output=a=b 12", "a=b", "-", "12", false},
		{"-o -- 12 -v", "--", "-", "12", true},
		{"-o - 12", "-", "-", "12", false},
		{"-- -v 12", "", "-", "-v 12", false},
		{"12 -- -v", "", "-", "12 -v", false},
		{"- 12", "", "-", "- 12", false},
		{"--sanitize 12", "", "", "12", false},
		{"--sanitize=all 12", "", "all", "12", false},
	} {
		s := flagSet{command: "x"}
		out, sanitize, verbose := "", "-", false
		s.flags = append(s.flags, flagDef{short: 'o', long: "output", value: "FILE", set: func(v string) error {
			out = v
			return nil
		}}, flagDef{long: "sanitize", value: "WHAT", optional: true, set: func(v string) error {
			sanitize = v
			return nil
		}})
		s.addBool('v', "verbose", "", &verbose)
		rest, err := s.parse(strings.Fields(c.args))
		if err != nil || out != c.out || sanitize != c.sanitize || verbose != c.verbose ||
			!slices.Equal(rest, strings.Fields(c.rest)) {
			t.Errorf("%q: out %q, sanitize %q, verbose %v, rest %q, error %v", c.args, out, sanitize, verbose, rest, err)
		}
	}
}

// TestParseLiteral checks that the arguments of a command line after the flags are not parsed as flags.
func TestParseLiteral(t *testing.T) {
	s := flagSet{command: "x", literal: true}
	verbose := false
	s.addBool('v', "verbose", "", &verbose)
	rest, err := s.parse(strings.Fields("-v ls -v --frob"))
	if err != nil || !verbose || strings.Join(rest, " ") != "ls -v --frob" {
		t.Errorf("verbose %v, rest %q, error %v", verbose, rest, err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "4096": 4096, "64K": 64 << 10, "64k": 64 << 10, "1M": 1 << 20,
		"2G": 2 << 30, "1T": 1 << 40, "3KiB": 3 << 10, "3MB": 3 << 20, "7B": 7, "0x1000": 4096, "0X10": 16,
		"18446744073709551615": 1<<64 - 1, "17592186044415M": 17592186044415 << 20} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "+1", "1.5M", "1KK", "1iB", "1Ki", "0x", "0x10K", "1 K", "16777216T",
		"18446744073709551616", "1_000", "１"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d; want an error", text, got)
		}
	}
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string][2]uint64{"0x7f0012340000+4K": {0x7f0012340000, 4096}, "10+0x10": {10, 16},
		"0xffffffffffffffff+1": {1<<64 - 1, 1}} {
		if m, err := parseRange(text); m.Address != want[0] || m.Size != want[1] || err != nil {
			t.Errorf("%q: %+v, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "+", "1", "+4", "0x+4", "7f00+4", "1+", "1+0", "1+2+3", "0xffffffffffffffff+2"} {
		if m, err := parseRange(text); err == nil {
			t.Errorf("%q: %+v; want an error", text, m)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{{nil, 0}, {errHelp, 0}, {exitStatus(139), 139}, {errors.New("x"), 1}, {&usageError{"dump", "x"}, 2}} {
		if got := statusOf(c.err); got != c.status {
			t.Errorf("%v: %d, want %d", c.err, got, c.status)
		}
	}
}

func TestWrap(t *testing.T) {
	if got := wrap("one two  three four", 2, 10); got != "one two\n  three\n  four" {
		t.Errorf("%q", got)
	}
	if got := wrap("0123456789abc d", 2, 10); got != "0123456789abc\n  d" {
		t.Errorf("%q", got)
	}
}
