package procfs

import "bytes"

// ParseOSRelease looks up key in the text of /etc/os-release or /etc/lsb-release: shell assignments, one per line
// (os-release(5)). It puts the value, with quotes and escapes undone, into dst, cut if dst is full. As in a shell, the last
// assignment counts. Comments, "export" and malformed lines are skipped.
func ParseOSRelease(b []byte, key string, dst []byte) (value []byte, ok bool) {
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		line = trimBlanks(line)
		if !hasPrefix(line, key) || len(line) <= len(key) || line[len(key)] != '=' || key == "" {
			continue
		}
		n := unquote(dst, line[len(key)+1:])
		value, ok = dst[:n], true
	}
	return value, ok
}

// unquote undoes the quoting of one shell word. Inside double quotes a backslash escapes only $ ` " \. Inside single quotes it is
// literal. Outside of quotes it escapes any byte, and a blank ends the word.
func unquote(dst, v []byte) int {
	n := 0
	var quote byte
	for i := 0; i < len(v) && n < len(dst); i++ {
		c := v[i]
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
			continue
		case quote == 0 && (c == ' ' || c == '\t'):
			return n
		case quote != 0 && c == quote:
			quote = 0
			continue
		case c == '\\' && quote != '\'' && i+1 < len(v) && (quote == 0 || escapable(v[i+1])):
			i++
			c = v[i]
		}
		dst[n] = c
		n++
	}
	return n
}

// escapable reports whether a backslash escapes c inside double quotes.
func escapable(c byte) bool { return c == '$' || c == '`' || c == '"' || c == '\\' }

// ParseBuildProp looks up key ("ro.build.version.release" and so on) in the text of Android's build.prop: KEY=VALUE lines,
// comments after #. The value extends to the end of the line, without blanks at both ends. A read-only property keeps its first
// value, so the first line counts. It returns nil if the key is missing.
func ParseBuildProp(b []byte, key string) []byte {
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		line = trimBlanks(line)
		equals := bytes.IndexByte(line, '=')
		if equals < 0 || string(trimBlanks(line[:equals])) != key {
			continue
		}
		v := trimBlanks(line[equals+1:])
		return v[:len(v):len(v)]
	}
	return nil
}

// ParseKernelVersion reads the first three numbers of a kernel release as returned by uname(2) and /proc/sys/kernel/osrelease: 6,
// 18 and 44 for "6.18.44-fc-v657". A number that is missing or does not fit is 0.
func ParseKernelVersion(b []byte) (major, minor, build uint32) {
	var v [3]uint32
	i := 0
	for k := range v {
		n, next := decimalAt(b, i)
		if next == i {
			break
		}
		if n <= 1<<32-1 {
			v[k] = uint32(n)
		}
		if next >= len(b) || b[next] != '.' {
			break
		}
		i = next + 1
	}
	return v[0], v[1], v[2]
}
