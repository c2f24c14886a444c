//go:build linux || windows || (darwin && !ios)

package crash

import (
	"fmt"
	"os"
	"strings"

	"minidump/crash/internal/hook"
	"minidump/stream"
)

// complete fills the space reserved in the dump with what the program reported after the dump was written: the report,
// its first words as an annotation, and the signal that the runtime converted to a panic.
func (c *captured) complete(text []byte) error {
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	d, err := stream.Open(f, info.Size())
	if err != nil {
		return err
	}
	p := patch{f: f, d: d}
	p.text(text)
	p.annotation(KeyReport, c.summary(string(text)))
	if !c.crash && !c.noFault {
		p.exception(causeOf(string(text), c.tid))
	}
	return p.err
}

// finish completes the dump, removes old ones, and calls the program's function.
func (c *captured) finish(text []byte, o *Options) {
	if err := c.complete(text); err != nil {
		fmt.Fprintln(os.Stderr, "crash: add the report to "+c.path+":", err)
	}
	if err := prune(c.path, o.Keep); err != nil {
		fmt.Fprintln(os.Stderr, "crash: remove old dumps:", err)
	}
	c.tell()
	if o.OnDump != nil {
		o.OnDump(c.path)
	}
}

// tell prints the dump's path and the output of package frames. The report of a panic already has the frames.
func (c *captured) tell() {
	if hook.Frames == nil {
		fmt.Fprintln(os.Stderr, "crash: wrote", c.path)
		return
	}
	signature, lines := hook.Frames(c.path)
	text := "crash: wrote " + c.path
	if signature != "" {
		text += ", signature " + signature
	}
	if c.kind == "signal" || c.kind == "exception" {
		for _, line := range lines {
			text += "\n  " + line
		}
	}
	fmt.Fprintln(os.Stderr, text)
}

// summary is the report up to its first goroutine, after the text of a fatal error, which the runtime leaves out.
func (c *captured) summary(text string) string {
	head := text
	for _, end := range []string{"\n\ngoroutine ", "\ngoroutine ", "\nruntime stack:"} {
		head, _, _ = strings.Cut(head, end)
	}
	head = strings.TrimSpace(head + c.says)
	if c.fatal != "" {
		head = strings.TrimSpace("fatal error: " + c.fatal + "\n" + head)
	}
	return strings.ToValidUTF8(head, "\ufffd")
}

// patch changes a dump in place. err is the first error.
type patch struct {
	f   *os.File
	d   *stream.File
	err error
}

func (p *patch) write(b []byte, at uint32) {
	if p.err == nil {
		_, p.err = p.f.WriteAt(b, int64(at))
	}
}

func (p *patch) read(b []byte, at uint32) {
	if p.err == nil {
		_, p.err = p.f.ReadAt(b, int64(at))
	}
}

func (p *patch) uint32(v uint32) []byte {
	b := make([]byte, 4)
	p.d.Order.PutUint32(b, v)
	return b
}

// text fills TextStream, and sets its size in the directory.
func (p *patch) text(text []byte) {
	for i, e := range p.d.Directory {
		if e.Type == TextStream {
			text = text[:min(uint64(len(text)), uint64(e.Location.DataSize))]
			p.write(text, e.Location.RVA)
			p.write(p.uint32(uint32(len(text))), p.d.Header.StreamDirectoryRVA+uint32(i*stream.DirectorySize)+4)
		}
	}
}

// annotation sets an annotation whose reserved value has maxReport bytes. CrashpadInfo (minidump_extensions.h of Crashpad): version,
// two identifiers of 16 bytes, the location of the dictionary @36: a count, then the RVAs of key and value, each a length and UTF-8
// with a zero byte after it.
func (p *patch) annotation(key, value string) {
	loc, err := p.d.Find(stream.CrashpadInfoStream)
	if err != nil {
		p.err = err
		return
	}
	b := make([]byte, 44)
	p.read(b, loc.RVA)
	dictionary := p.d.Order.Uint32(b[40:])
	p.read(b[:4], dictionary)
	for i := range min(p.d.Order.Uint32(b), 1<<16) {
		p.read(b[:8], dictionary+4+8*i)
		k, v := p.d.Order.Uint32(b), p.d.Order.Uint32(b[4:])
		name := make([]byte, 4+len(key)+1)
		p.read(name, k)
		if p.err != nil || p.d.Order.Uint32(name) != uint32(len(key)) || string(name[4:4+len(key)]) != key {
			continue
		}
		p.read(b[:4], v)
		value = strings.ToValidUTF8(value[:min(uint64(len(value)), uint64(p.d.Order.Uint32(b)))], "")
		p.write(append([]byte(value), 0), v+4)
		p.write(p.uint32(uint32(len(value))), v)
		return
	}
}

// exception writes the signal that the runtime converted to a panic to the exception stream. The registers stay those
// of the report.
func (p *patch) exception(c *cause) {
	loc, err := p.d.Find(stream.ExceptionStream)
	if c == nil || err != nil {
		return
	}
	b := make([]byte, stream.ExceptionSize)
	p.read(b, loc.RVA)
	var e stream.Exception
	e.Get(b, p.d.Order)
	e.Code, e.Flags, e.Address = c.code, c.flags, c.address
	clear(e.Information[:])
	e.NumberParameters = uint32(copy(e.Information[:], c.params))
	e.Put(b, p.d.Order)
	p.write(b, loc.RVA)
}

// reportEnd calls OnEnd, and reports an end that looks like a crash on standard error.
func reportEnd(pid int, e End, o *Options) {
	switch {
	case !e.Known && e.Alive:
		fmt.Fprintf(os.Stderr, "crash: process %d has redirected its crash output, by debug.SetCrashOutput or by executing another program: "+
			"it is no longer watched\n", pid)
	case e.crashed():
		fmt.Fprintf(os.Stderr, "crash: process %d %v without a report: no dump was written\n", pid, e)
	}
	if o.OnEnd != nil {
		o.OnEnd(e)
	}
}
