package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"time"

	"minidump"
	"minidump/context"
	"minidump/internal/dumpfile"
)

// writerFlags are the flags of all subcommands that write a dump.
type writerFlags struct {
	output       string // "" if not given
	json         bool
	crashContext string
	replaceLinks bool          // see openOutput
	keep         dumpfile.Keep // of core, serve and run
	crashed      bool          // the subcommand, core, serve or run, dumps crashed processes
	noBacktrace  bool          // of core, serve and run
	alive        int           // of core: the process that is dumping core now; 0: there is none
	dog          *watchdog     // of dump
	options      minidump.Options
	platform     platformFlags // of dump
}

// register adds the flags to s.
func (w *writerFlags) register(s *flagSet) {
	w.registerOutput(s)
	w.registerMemory(s)
	w.registerPrivacy(s)
	w.registerContent(s)
	s.addBool(0, "json", "print the result as one JSON object on standard output (on standard error if the dump goes "+
		"to standard output); docs/result.schema.json describes it", &w.json)
}

// registerOutput adds the flags for the destination of the dump, the thread that it is about, and timeouts.
func (w *writerFlags) registerOutput(s *flagSet) {
	o := &w.options
	s.flags = append(s.flags, flagDef{short: 'o', long: "output", value: "FILE",
		help: "where to write the dump; - is standard output (default: NAME.PID.dmp in the current folder)",
		set: func(v string) error {
			if v == "" {
				return errors.New("no file name")
			}
			w.output = v
			return nil
		}})
	s.add("thread", "TID", "the blamed thread, which the dump is about (default: the crashed one, or else the main thread)",
		func(v string) (err error) {
			o.Thread, err = parseID(v)
			return err
		})
	s.add("timeout", "DURATION", "how long to wait for all threads to stop, such as 2s (default 100ms)",
		func(v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				return fmt.Errorf("%q is not a duration such as 100ms or 2s", v)
			}
			o.StopTimeout = d
			return nil
		})
	s.add("max-pause", "DURATION", "how long a process may stay stopped while its full dump is written, such as 30s "+
		"(default 1m); after that it continues and the dump fails", func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration such as 30s or 2m", v)
		}
		o.MaxPause = d
		return nil
	})
}

// registerKeep adds the flags that bound the number and size of the dumps in a folder. count is how many are kept by
// default.
func (w *writerFlags) registerKeep(s *flagSet, count int) {
	w.keep.Count, w.crashed = count, true
	by := "all"
	if count != 0 {
		by = strconv.Itoa(count)
	}
	s.add("keep", "N", "how many dumps to keep in the folder; the oldest are deleted; 0 keeps all (default "+by+")",
		func(v string) (err error) {
			if w.keep.Count, err = strconv.Atoi(v); err != nil || w.keep.Count < 0 {
				return fmt.Errorf("%q is not a number of 0 or more", v)
			}
			return nil
		})
	s.addBool(0, "no-backtrace", "do not print the backtrace of the crashed thread or add it to the dump", &w.noBacktrace)
	s.add("keep-free", "SIZE", "keep this much of the folder's file system free, such as 500M or 2G: the oldest dumps are "+
		"deleted to make room, and if that is not enough, no dump is made", sizeTo(&w.keep.Free))
}

// registerMemory adds the flags for the amount of memory in the dump.
func (w *writerFlags) registerMemory(s *flagSet) {
	o := &w.options
	s.add("mode", "MODE", "how much memory to include: stack (default), indirect (also what the blamed thread's registers and "+
		"stack point to) or full (all readable memory; the process stays stopped until it is written, but see dump --snapshot)",
		func(v string) error {
			switch v {
			case "stack":
				o.Mode = minidump.ModeStack
			case "indirect":
				o.Mode = minidump.ModeIndirect
			case "full":
				o.Mode = minidump.ModeFull
			default:
				return fmt.Errorf("%q is not stack, indirect or full", v)
			}
			return nil
		})
	s.choices("stack", "indirect", "full")
	s.add("stack-limit", "SIZE", "the most to include of each thread's stack, such as 64K or 1M (default 32K, and 256K for the "+
		"blamed thread)", sizeTo(&o.StackLimit))
	s.add("limit", "SIZE", "maximum size of the whole dump (default: no limit)", sizeTo(&o.Limit))
	s.addBool(0, "include-dontdump", "also include memory that the process has excluded from dumps (MADV_DONTDUMP)",
		&o.IncludeDontDump)
	s.add("app-memory", "ADDR+LEN", "also include this memory of the process, such as 0x7f0012340000+4K; may be repeated",
		func(v string) error {
			m, err := parseRange(v)
			o.AppMemory = append(o.AppMemory, m)
			return err
		})
}

// registerSnapshot adds the flag that controls whether a live process is copied.
func (w *writerFlags) registerSnapshot(s *flagSet) {
	o := &w.options
	o.Snapshot = minidump.SnapshotAuto
	s.add("snapshot", "WHEN", "read the memory from a copy-on-write copy while the process keeps running: never, auto (default: "+
		"with --mode full, if the process has 64M or more in memory and can be copied) or always (fail if it can't be copied)",
		func(v string) error {
			switch v {
			case "never":
				o.Snapshot = minidump.SnapshotNever
			case "auto":
				o.Snapshot = minidump.SnapshotAuto
			case "always":
				o.Snapshot = minidump.SnapshotAlways
			default:
				return fmt.Errorf("%q is not never, auto or always", v)
			}
			return nil
		})
	s.choices("never", "auto", "always")
}

// registerPrivacy adds the flags that keep things out of the dump.
func (w *writerFlags) registerPrivacy(s *flagSet) {
	o := &w.options
	s.flags = append(s.flags, flagDef{long: "sanitize", value: "WHAT", optional: true,
		help: "replace everything that is not a pointer: in stacks or, with --sanitize=all, in all memory",
		set: func(v string) error {
			switch v {
			case "", "stacks":
				o.SanitizeStacks = true
			case "all":
				o.SanitizeStacks, o.SanitizeAll = true, true
			default:
				return fmt.Errorf("%q is neither stacks nor all", v)
			}
			return nil
		}})
	s.add("omit", "LIST", "leave these parts out: any of environ,cmdline,handles", func(v string) error {
		for _, part := range strings.Split(v, ",") {
			switch part {
			case "environ":
				o.Omit |= minidump.OmitEnviron
			case "cmdline":
				o.Omit |= minidump.OmitCmdline
			case "handles":
				o.Omit |= minidump.OmitHandles
			default:
				return fmt.Errorf("%q is not environ, cmdline or handles", part)
			}
		}
		return nil
	})
	s.choices("environ", "cmdline", "handles")
}

// registerContent adds the flags that add to the dump.
func (w *writerFlags) registerContent(s *flagSet) {
	o := &w.options
	s.add("annotation", "KEY=VALUE", "store this text in the dump; may be repeated", func(v string) error {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not KEY=VALUE", v)
		}
		o.Annotations = append(o.Annotations, minidump.Annotation{Key: key, Value: value})
		return nil
	})
	s.add("crash-context", "FILE", "read from FILE why the process crashed: the bytes of a crash_context::CrashContext; - is "+
		"standard input", func(v string) error {
		w.crashContext = v
		return nil
	})
	s.addBool(0, "register-sets", "also store registers that the format has no place for (AVX, SVE, VSX and others)",
		&o.RegisterSets)
}

// load reads the file that --crash-context names.
func (w *writerFlags) load() error {
	if w.crashContext == "" {
		return nil
	}
	// A crash context has a few kilobytes. Any other file is not read to its end.
	const most = 1 << 20
	in := io.Reader(os.Stdin)
	if w.crashContext != "-" {
		f, err := os.Open(w.crashContext)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return err
	}
	if w.options.Crash, err = context.ParseCrashContext(b); err != nil {
		return fmt.Errorf("%s: %w", w.crashContext, err)
	}
	return nil
}

// parseID parses the id of a process or thread.
func parseID(v string) (int, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not an id", v)
	}
	return int(n), nil
}

// sizeTo returns the set function of a flag with a size.
func sizeTo(to *uint64) func(string) error {
	return func(v string) (err error) {
		if *to, err = parseSize(v); err == nil && *to == 0 {
			err = errors.New("the size is 0")
		}
		return err
	}
}

// parseSize parses a number of bytes: decimal, hexadecimal with 0x, or decimal with K, M, G or T for powers of 1024,
// which B or iB may follow.
func parseSize(v string) (uint64, error) {
	bad := fmt.Errorf("%q is not a size such as 4096, 64K, 1M or 2G", v)
	if hex, ok := cutHex(v); ok {
		n, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return 0, bad
		}
		return n, nil
	}
	digits := strings.TrimRight(v, "KkMmGgTtiBb")
	shift := uint(0)
	switch unit := strings.ToLower(v[len(digits):]); unit {
	case "", "b":
	case "k", "kb", "kib":
		shift = 10
	case "m", "mb", "mib":
		shift = 20
	case "g", "gb", "gib":
		shift = 30
	case "t", "tb", "tib":
		shift = 40
	default:
		return 0, bad
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > math.MaxUint64>>shift {
		return 0, bad
	}
	return n << shift, nil
}

func cutHex(v string) (string, bool) {
	if hex, ok := strings.CutPrefix(v, "0x"); ok {
		return hex, true
	}
	return strings.CutPrefix(v, "0X")
}

// parseRange parses ADDR+LEN.
func parseRange(v string) (minidump.AppMemory, error) {
	addr, size, ok := strings.Cut(v, "+")
	base, digits := 10, addr
	if hex, isHex := cutHex(addr); isHex {
		base, digits = 16, hex
	}
	a, err := strconv.ParseUint(digits, base, 64)
	if !ok || err != nil {
		return minidump.AppMemory{}, fmt.Errorf("%q is not ADDR+LEN such as 0x7f0012340000+4K", v)
	}
	n, err := parseSize(size)
	if err != nil {
		return minidump.AppMemory{}, err
	}
	if n == 0 {
		return minidump.AppMemory{}, errors.New("the size is 0")
	}
	if _, carry := bits.Add64(a, n-1, 0); carry != 0 {
		return minidump.AppMemory{}, fmt.Errorf("%q extends past the end of the address space", v)
	}
	return minidump.AppMemory{Address: a, Size: n}, nil
}
