package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"minidump"
)

func newWriter(pid int, o minidump.Options) (*minidump.Writer, error) {
	return minidump.NewWriter(pid, o)
}

// platformFlags has the flags of dump that exist only on Windows.
type platformFlags struct {
	system   bool
	pointers uint64
	code     uint32
	tokens   bool
}

func (p *platformFlags) register(s *flagSet) {
	s.add("writer", "WRITER", "own (default), or system: MiniDumpWriteDump of dbghelp.dll, which knows of the other flags "+
		"--output, --mode, --annotation, --thread, --tokens and --exception-pointers only",
		func(v string) error {
			switch v {
			case "own":
				p.system = false
			case "system":
				p.system = true
			default:
				return fmt.Errorf("%q is none of own, system", v)
			}
			return nil
		})
	s.choices("own", "system")
	s.addBool(0, "tokens", "take the access tokens: which user, groups and privileges the process has", &p.tokens)
	s.add("exception-pointers", "ADDR", "where in the process its EXCEPTION_POINTERS lie; --thread is the thread that crashed",
		func(v string) (err error) {
			p.pointers, err = parseHex(v, 64)
			return err
		})
	s.add("exception-code", "CODE", "why the process crashed, as 0xc0000005, where it has no exception record",
		func(v string) error {
			n, err := parseHex(v, 32)
			p.code = uint32(n)
			return err
		})
}

func parseHex(v string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(v, 0, bits)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no number such as 0xc0000005", v)
	}
	return n, nil
}

func (p *platformFlags) context(pid int, o *minidump.Options) minidump.CrashContext {
	return minidump.CrashContext{ExceptionPointers: p.pointers, ExceptionCode: p.code, ProcessID: pid, ThreadID: o.Thread}
}

// crash sets the crash of the dump from the flags.
func (p *platformFlags) crash(w *minidump.Writer, pid int, o *minidump.Options) error {
	if p.pointers == 0 && p.code == 0 {
		return nil
	}
	c, err := w.ReadCrash(p.context(pid, o))
	if err != nil {
		fmt.Fprintf(os.Stderr, "warning: %v\n", err)
	}
	if c != nil {
		w.SetCrash(c)
	}
	return nil
}

// MINIDUMP_TYPE of the modes for the system's writer (minidumpapiset.h): MiniDumpWithHandleData, …FullMemoryInfo,
// …ThreadInfo and …UnloadedModules for all; …IndirectlyReferencedMemory; …FullMemory.
const (
	systemCommon   = 0x4 | 0x800 | 0x1000 | 0x20
	systemIndirect = 0x40
	systemFull     = 0x2
	systemTokens   = 0x40000 // MiniDumpWithTokenInformation
)

// dump makes the dump with the system's writer if the flags select it.
func (p *platformFlags) dump(pid int, w *writerFlags) (done bool, err error) {
	o := &w.options
	o.Tokens = p.tokens
	if !p.system {
		return false, nil
	}
	if w.output == "-" || o.Limit != 0 || o.StackLimit != 0 || o.SanitizeStacks || o.Omit != 0 || len(o.AppMemory) > 0 || w.json ||
		w.crashContext != "" || o.RegisterSets {
		return true, errors.New("the system's writer knows of none of the flags that bound, clean or stream a dump")
	}
	so := minidump.SystemOptions{Flags: systemCommon, Annotations: o.Annotations}
	switch o.Mode {
	case minidump.ModeIndirect:
		so.Flags |= systemIndirect
	case minidump.ModeFull:
		so.Flags |= systemFull
	}
	if p.tokens {
		so.Flags |= systemTokens
	}
	if p.pointers != 0 {
		c := p.context(pid, o)
		so.Crash = &c
	}
	path := w.output
	if path == "" {
		writer, err := newWriter(pid, minidump.Options{})
		if err != nil {
			return true, err
		}
		path = nameFor(writer)
		writer.Close()
	}
	size, err := minidump.DumpBySystem(pid, path, so)
	if err == nil {
		fmt.Fprintf(os.Stderr, "wrote %s: %s\n", printable(path), bytesText(uint64(size)))
	}
	return true, err
}
