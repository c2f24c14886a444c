// Package dumpfile defines the names of dumps in a folder, and limits their number and size.
package dumpfile

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"minidump/internal/newfile"
)

// Ext is the extension of a dump's name.
const Ext = ".dmp"

// timeForm is the format of the time in names, in UTC.
const timeForm = "20060102T150405.000Z"

// maxProcess is the maximum number of bytes of a process's name in the name of its dump, so that a number and a
// time also fit into the 255 bytes of a file name.
const maxProcess = 200

// Safe turns a process's name into a part of a file name. The result does not start with a dot or a hyphen, leaves room for a
// number and a time, and contains no character that is special to a shell, a terminal or another system.
func Safe(process string) string {
	name := clean(process)
	if name == "" {
		return "process"
	}
	return newfile.Cut(name, maxProcess)
}

// SafeName makes a file name safe in the same way. A long name is cut before its last maxTail bytes, which may contain
// the process id and the extension.
func SafeName(name string) string {
	const most, maxTail = 255, 40
	if name = clean(name); len(name) > most {
		tail := name[len(name)-maxTail:]
		for tail[0]&0xc0 == 0x80 { // in the middle of a character
			tail = tail[1:]
		}
		name = newfile.Cut(name, most-len(tail)) + tail
	}
	return name
}

func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._+-", r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, name)
	if name != "" && (name[0] == '.' || name[0] == '-') {
		return "_" + name[1:]
	}
	return name
}

// Name returns the name of a dump: NAME.PID.dmp.
func Name(process string, pid int) string { return Safe(process) + "." + strconv.Itoa(pid) + Ext }

// TimedName returns the name of a dump in a folder that may have several of one process: NAME.PID.TIME.dmp.
func TimedName(process string, pid int, now time.Time) string {
	return Safe(process) + "." + strconv.Itoa(pid) + "." + now.UTC().Format(timeForm) + Ext
}

// parse reports whether name has exactly one of the forms NAME.PID.TIME.dmp, NAME.PID.dmp and NAME-PID.dmp, and returns
// the time in it, if any. core_pattern can produce the last form.
func parse(name string) (when time.Time, ok bool) {
	rest, ok := strings.CutSuffix(name, Ext)
	if !ok || SafeName(name) != name {
		return when, false
	}
	timed := false
	if i := len(rest) - len(timeForm); i > 0 && rest[i-1] == '.' {
		t, err := time.Parse(timeForm, rest[i:])
		if timed = err == nil && t.Format(timeForm) == rest[i:]; timed { // Parse also accepts a comma
			when, rest = t, rest[:i-1]
		}
	}
	i := len(strings.TrimRight(rest, "0123456789"))
	if i < 2 || rest[i-1] != '.' && (rest[i-1] != '-' || timed) {
		return when, false
	}
	pid, err := strconv.ParseInt(rest[i:], 10, 32)
	return when, err == nil && pid > 0 && strconv.FormatInt(pid, 10) == rest[i:]
}
