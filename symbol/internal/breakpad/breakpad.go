// Package breakpad reads Breakpad's text files of symbols, as written by dump_syms.
//
// A file may have 500 MB. Open reads it once and keeps only the position of each function's records, so that a Lookup reads
// only the records of one function. The input may come from an attacker: what is kept is limited, and what can't be parsed is
// skipped. A File is not safe for concurrent use, and does not close its reader.
//
// Source: docs/symbol_files.md of Breakpad.
package breakpad

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Limits on what is read and kept.
const (
	MaxLine = 8192 // bytes of a line; longer ones are skipped

	maxRecords = 4 << 20  // functions; files; names of inlined functions; public symbols
	maxBlock   = 64 << 20 // bytes of the records of one function
	maxInlines = 256      // inlined calls at one address
	maxRanges  = 4096     // of one inlined call
)

// Module is the MODULE record: the first line of a file.
type Module struct {
	OS, Arch string
	ID       string // GUID and age
	Name     string
}

// Frame is one function that contains an address.
type Frame struct {
	Name    string
	Start   uint64 // of the function, or of the inlined code
	File    string
	Line    int
	Inlined bool // into the next frame
}

// function is a FUNC or PUBLIC record.
type function struct {
	addr, size uint64 // size is 0 for a PUBLIC record
	off, end   int64  // the record and those that belong to it, in the file
}

// File is an open symbol file.
type File struct {
	Module Module

	r         io.ReaderAt
	functions []function
	most      []uint64 // the greatest end of the functions up to this one
	publics   []function
	files     map[uint64]int64 // offsets of FILE records by number
	origins   map[uint64]int64 // offsets of INLINE_ORIGIN records by number
}

// ReadModule reads only the MODULE record.
func ReadModule(r io.ReaderAt) (Module, error) {
	b := make([]byte, MaxLine)
	n, _ := r.ReadAt(b, 0)
	line, _, _ := bytes.Cut(b[:n], []byte("\n"))
	f := strings.SplitN(strings.TrimSuffix(string(line), "\r"), " ", 5)
	if len(f) < 5 || f[0] != "MODULE" {
		return Module{}, errors.New("breakpad: no MODULE record")
	}
	return Module{OS: f[1], Arch: f[2], ID: f[3], Name: f[4]}, nil
}

// Open indexes the file of size bytes that r reads.
func Open(r io.ReaderAt, size int64) (*File, error) {
	m, err := ReadModule(r)
	if err != nil {
		return nil, err
	}
	f := &File{Module: m, r: r, files: map[uint64]int64{}, origins: map[uint64]int64{}}
	x := indexer{f: f}
	lines(r, 0, size, x.line)
	x.close(size)
	byAddr := func(a, b function) int { return cmp.Compare(a.addr, b.addr) }
	slices.SortStableFunc(f.functions, byAddr)
	slices.SortStableFunc(f.publics, byAddr)
	f.most = make([]uint64, len(f.functions))
	var most uint64
	for i, fn := range f.functions {
		most = max(most, fn.addr+fn.size)
		f.most[i] = most
	}
	return f, nil
}

// lines calls do for each line of a part of r, with its offset, until do returns false. The line is valid until do returns.
func lines(r io.ReaderAt, off, end int64, do func(off int64, line []byte) bool) {
	buf := make([]byte, 0, 256<<10)
	skip := false
	for off < end || len(buf) > 0 {
		room := buf[len(buf):cap(buf)]
		n, err := r.ReadAt(room[:min(int64(len(room)), max(0, end-off-int64(len(buf))))], off+int64(len(buf)))
		buf = buf[:len(buf)+n]
		last := n == 0 || err != nil
		used := 0
		for {
			i := bytes.IndexByte(buf[used:], '\n')
			if i < 0 {
				break
			}
			line := buf[used : used+i]
			if !skip && len(line) <= MaxLine && !do(off+int64(used), bytes.TrimSuffix(line, []byte("\r"))) {
				return
			}
			skip = false
			used += i + 1
		}
		if used == 0 && (last || len(buf) == cap(buf)) {
			if last {
				if !skip && len(buf) > 0 && len(buf) <= MaxLine {
					do(off, buf)
				}
				return
			}
			skip, used = true, len(buf) // the middle of a line that is too long
		}
		off += int64(used)
		buf = buf[:copy(buf[:cap(buf)], buf[used:])]
	}
}

// indexer collects the positions of records.
type indexer struct {
	f    *File
	open bool // the last function has no end yet
}

// close sets the end of the open function.
func (x *indexer) close(off int64) {
	if x.open {
		x.open = false
		x.f.functions[len(x.f.functions)-1].end = off
	}
}

func (x *indexer) line(off int64, line []byte) bool {
	kind, rest, _ := bytes.Cut(line, []byte(" "))
	switch string(kind) {
	case "FUNC":
		x.close(off)
		if fn, ok := parseFunction(rest, true); ok && len(x.f.functions) < maxRecords {
			fn.off = off
			x.f.functions = append(x.f.functions, fn)
			x.open = true
		}
	case "PUBLIC":
		x.close(off)
		if fn, ok := parseFunction(rest, false); ok && len(x.f.publics) < maxRecords {
			fn.off = off
			x.f.publics = append(x.f.publics, fn)
		}
	case "FILE":
		x.close(off)
		number(x.f.files, off, rest)
	case "INLINE_ORIGIN":
		x.close(off)
		number(x.f.origins, off, rest)
	case "STACK", "INFO", "MODULE":
		x.close(off)
	}
	return true
}

// number records the offset of a record that starts with a number.
func number(to map[uint64]int64, off int64, rest []byte) {
	word, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(word), 10, 64)
	if _, has := to[n]; err == nil && !has && len(to) < maxRecords {
		to[n] = off
	}
}

// parseFunction parses "[m] address size parameter_size name" or "[m] address parameter_size name".
func parseFunction(rest []byte, sized bool) (fn function, ok bool) {
	rest = bytes.TrimPrefix(rest, []byte("m "))
	word, rest, _ := bytes.Cut(rest, []byte(" "))
	var err error
	if fn.addr, err = strconv.ParseUint(string(word), 16, 64); err != nil {
		return fn, false
	}
	if !sized {
		return fn, true
	}
	word, _, _ = bytes.Cut(rest, []byte(" "))
	fn.size, err = strconv.ParseUint(string(word), 16, 64)
	return fn, err == nil && fn.size > 0 && fn.addr+fn.size > fn.addr
}
