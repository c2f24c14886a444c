package main

import (
	"bufio"
	stdhex "encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"minidump/internal/backtrace"
	"minidump/stream"
)

var showCommand = subcommand{
	name:    "show",
	args:    "FILE",
	summary: "show what is in a dump",
	flags:   func() *flagSet { s, _ := showFlagSet(); return s },
	run:     runShow,
}

// showFlags are the flags of show.
type showFlags struct {
	text   textOptions
	json   bool
	brief  bool
	stream string // "" if not given
	html   string // likewise

	frames      backtrace.Options
	noBacktrace bool
}

func showFlagSet() (*flagSet, *showFlags) {
	s := &flagSet{command: "show", args: "FILE",
		about: "Prints what is in the minidump FILE, whichever program wrote it. FILE may be - for standard input, and may be " +
			"compressed with gzip."}
	f := &showFlags{frames: backtrace.Options{All: true, Limit: showLimit, Memory: showMemory}}
	s.addBool('v', "verbose", "list everything: streams, memory, mappings, handles, full paths", &f.text.all)
	s.addBool('b', "brief", "print one line: the process, why it was dumped, and where it was", &f.brief)
	s.addBool(0, "memory", "list the memory ranges", &f.text.memory)
	s.add("goroutines", "all", "print every goroutine of a Go program separately, including those of its runtime; by default "+
		"goroutines with the same stack are printed once", func(v string) error {
		if v != "all" {
			return fmt.Errorf("%q is not all", v)
		}
		f.text.allGoroutines = true
		return nil
	})
	s.choices("all")
	s.add("threads", "WHICH", "which stacks to print: those of all threads (default) or of the crashed one, which the dump is about", func(v string) error {
		switch v {
		case "all", "crashed":
			f.frames.All = v == "all"
			return nil
		}
		return fmt.Errorf("%q is neither all nor crashed", v)
	})
	s.choices("all", "crashed")
	s.add("symbols", "DIR", "also look for symbols in this folder: program files and their debug files, .build-id folders, and Breakpad's "+
		"NAME/ID/NAME.sym; may be repeated", func(v string) error {
		f.frames.Sources.Dirs = append(f.frames.Sources.Dirs, v)
		return nil
	})
	s.add("sysroot", "DIR", "look for the files of the process below this folder (default /); a file is used only if its build id "+
		"matches the module", func(v string) error {
		f.frames.Sources.Sysroot = v
		return nil
	})
	s.addBool(0, "no-backtrace", "do not show the backtraces of the threads", &f.noBacktrace)
	s.addBool(0, "json", "print all records as one JSON object; docs/show.schema.json describes it", &f.json)
	s.add("html", "PAGE", "write an HTML page, in one file; - is standard output", func(v string) error {
		f.html = v
		return nil
	})
	s.add("stream", "NAME", "print one stream as it is, or as a hex dump if it is not text; NAME is a name in the list of "+
		"streams that -v prints, or the stream's number", func(v string) error {
		f.stream = v
		return nil
	})
	return s, f
}

func runShow(args []string) error {
	s, flags := showFlagSet()
	rest, err := s.parse(args)
	switch {
	case err != nil:
		return err
	case len(rest) == 0:
		return s.wrong("no FILE given")
	case len(rest) > 1:
		return s.wrong("expected one FILE, got %q as well", rest[1])
	case flags.stream != "" && flags.json:
		return s.wrong("--stream and --json can't be used together")
	case flags.html != "" && (flags.json || flags.stream != "" || flags.brief):
		return s.wrong("--html can't be used with --json, --stream or --brief")
	case flags.brief && (flags.json || flags.stream != "" || flags.text.all || flags.text.memory):
		return s.wrong("--brief can't be used with any other flag")
	}
	f, err := openDump(rest[0])
	if err != nil {
		return err
	}
	defer f.Close()
	if flags.html != "" && flags.html != "-" {
		return flags.writeHTML(f, rest[0])
	}
	out := bufio.NewWriter(os.Stdout)
	err = flags.print(out, f, rest[0])
	if e := out.Flush(); err == nil && e != nil {
		err = fmt.Errorf("write: %w", bare(e))
	}
	return err
}

// print prints the dump f, whose name is path, in the form that the flags select.
func (flags *showFlags) print(out io.Writer, f *stream.File, path string) error {
	switch {
	case flags.stream != "":
		return printStream(out, f, flags.stream, isTerminal(os.Stdout))
	case flags.html != "":
		return printHTML(out, flags.read(f, path))
	case flags.json:
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(flags.read(f, path))
	case flags.brief:
		fmt.Fprintln(out, readDump(f, path).brief())
	default:
		flags.text.memory = flags.text.memory || flags.text.all
		printText(out, flags.read(f, path), flags.text)
	}
	return nil
}

// writeHTML writes the page to a file, which replaces an existing one after it is complete.
func (flags *showFlags) writeHTML(f *stream.File, path string) error {
	out, err := openOutput(flags.html, false)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(out)
	err = printHTML(buffer, flags.read(f, path))
	if e := buffer.Flush(); err == nil {
		err = e
	}
	return out.close(err)
}

// How long show may look up names, and the maximum bytes of symbols that it keeps in memory meanwhile.
const (
	showLimit  = 10 * time.Second
	showMemory = 2 << 30
)

// read reads the dump with its frames.
func (flags *showFlags) read(f *stream.File, path string) *dumpInfo {
	d := readDump(f, path)
	if !flags.noBacktrace {
		d.readFrames(f, flags.frames)
	}
	return d
}

// texts are the streams that are plain text, mostly UTF-8.
var texts = []stream.Type{stream.LinuxCPUInfo, stream.LinuxProcStatus, stream.LinuxLSBRelease, stream.LinuxCmdLine,
	stream.LinuxEnviron, stream.LinuxMaps, stream.MozLinuxLimits, stream.MozSoftErrors, stream.CommentStreamA}

func isText(t stream.Type) bool {
	for _, x := range texts {
		if x == t {
			return true
		}
	}
	return false
}

// printStream prints a stream: text as it is, or escaped for a terminal, and other data as a hex dump.
func printStream(out io.Writer, f *stream.File, name string, terminal bool) error {
	t, err := findStream(f, name)
	if err != nil {
		return err
	}
	b, err := f.Stream(t)
	if err != nil {
		return err
	}
	switch {
	case !isText(t):
		dumper := stdhex.Dumper(out)
		defer dumper.Close()
		_, err = dumper.Write(b)
	case terminal:
		_, err = io.WriteString(out, printableLines(string(b)))
	default:
		_, err = out.Write(b)
	}
	return err
}

// printableLines is printable for each line of a text, and keeps tabs.
func printableLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		for i, cell := range strings.Split(body, "\t") {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(printable(cell))
		}
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// findStream returns the type of the stream that name names: by its number, or by its name. Case, "Stream" at the end
// of the name, and "Linux" or "Moz" at its start do not matter.
func findStream(f *stream.File, name string) (stream.Type, error) {
	if n, err := strconv.ParseUint(name, 0, 32); err == nil {
		return stream.Type(n), nil
	}
	short := func(s string) string {
		s = strings.TrimSuffix(strings.ToLower(s), "stream")
		return strings.TrimPrefix(strings.TrimPrefix(s, "linux"), "moz")
	}
	var names []string
	for _, d := range f.Directory {
		if d.Type == stream.UnusedStream {
			continue
		}
		if short(d.Type.String()) == short(name) {
			return d.Type, nil
		}
		names = append(names, d.Type.String())
	}
	if len(names) == 0 {
		return 0, errors.New("the dump has no streams")
	}
	const most = 40
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return 0, fmt.Errorf("the dump has no stream %q; it has %s", name, strings.Join(names, ", "))
}
