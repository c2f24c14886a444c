package main

import (
	"bufio"
	"bytes"
	stdhex "encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"minidump/stream"
)

var showCommand = subcommand{
	name:    "show",
	args:    "FILE",
	summary: "what a dump holds",
	run:     runShow,
}

func runShow(args []string) error {
	s := flagSet{command: "show", args: "FILE",
		about: "Tells what the minidump FILE holds, whichever program wrote it. FILE may be - for standard input."}
	var text textOptions
	var asJSON, verbose bool
	name := ""
	s.addBool('v', "verbose", "list everything: streams, memory, mappings, handles, whole paths", &verbose)
	s.addBool(0, "memory", "list the memory ranges", &text.memory)
	s.addBool(0, "json", "print all records as one JSON object", &asJSON)
	s.add("stream", "NAME", "print one stream as it is, or as a hex dump if it is no text; NAME is as in the list of "+
		"streams that -v gives, or the stream's number", func(v string) error {
		name = v
		return nil
	})
	rest, err := s.parse(args)
	switch {
	case err != nil:
		return err
	case len(rest) == 0:
		return s.wrong("no FILE given")
	case len(rest) > 1:
		return s.wrong("one FILE is expected, not also %q", rest[1])
	case name != "" && asJSON:
		return s.wrong("--stream and --json exclude each other")
	}
	f, err := openDump(rest[0])
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(os.Stdout)
	switch {
	case name != "":
		err = printStream(out, f, name)
	case asJSON:
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(readDump(f, rest[0]))
	default:
		text.all = verbose
		text.memory = text.memory || verbose
		printText(out, readDump(f, rest[0]), text)
	}
	if e := out.Flush(); err == nil && e != nil {
		err = fmt.Errorf("write: %w", bare(e))
	}
	return err
}

func openDump(path string) (*stream.File, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		f, err := stream.OpenFile(file)
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return f, err
	}
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", bare(err))
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		err = fmt.Errorf("standard input: %w", err)
	}
	return f, err
}

// texts are the streams that are plain text in UTF-8 or something near it.
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

func printStream(out io.Writer, f *stream.File, name string) error {
	t, err := findStream(f, name)
	if err != nil {
		return err
	}
	b, err := f.Stream(t)
	if err != nil {
		return err
	}
	if isText(t) {
		_, err = out.Write(b)
		return err
	}
	dumper := stdhex.Dumper(out)
	defer dumper.Close()
	_, err = dumper.Write(b)
	return err
}

// findStream gives the type of the stream that name names: by its number, or by its name, where case does not matter,
// nor whether "Stream" stands at its end, or "Linux" or "Moz" at its start.
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
		return 0, errors.New("the dump has no stream at all")
	}
	const most = 40
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return 0, fmt.Errorf("the dump has no stream %q; it has %s", name, strings.Join(names, ", "))
}
