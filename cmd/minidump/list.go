package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"minidump/internal/dumpfile"
)

var listCommand = subcommand{
	name:    "list",
	args:    "[DIR...]",
	summary: "list the dumps in a folder",
	flags:   func() *flagSet { return new(listFlags).set() },
	run:     runList,
}

type listFlags struct{ json bool }

func (f *listFlags) set() *flagSet {
	s := &flagSet{command: "list", args: "[DIR...]",
		about: "Lists the dumps in each folder DIR (default: the current folder), whichever program wrote them: all files whose names end " +
			"with .dmp. Each line has the dump's time, size and name, the process, why it was dumped, and the crash signature if the " +
			"dump has one. The oldest comes first."}
	s.addBool(0, "json", "print one JSON object per line; docs/list.schema.json describes it", &f.json)
	return s
}

func runList(args []string) error {
	var f listFlags
	dirs, err := f.set().parse(args)
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	var all []listed
	var failed error
	for _, dir := range dirs {
		list, err := listFolder(dir, len(dirs) > 1)
		all, failed = append(all, list...), errors.Join(failed, err)
	}
	slices.SortStableFunc(all, func(a, b listed) int { return a.time.Compare(b.time) })
	if f.json {
		return errors.Join(listJSON(os.Stdout, all), failed)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for i := range all {
		d := &all[i]
		what := d.what
		if d.err != nil {
			what = "can't be read: " + d.err.Error()
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", timeText(&d.time), bytesText(uint64(d.size)), printable(d.name), printable(what))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", bare(err))
	}
	return failed
}

// listed is an entry of the list.
type listed struct {
	time time.Time
	size int64
	name string
	what string    // the process and the reason
	info *dumpInfo // nil if the dump can't be read
	err  error     // why it can't be read
}

// jsonListed is a dump in the list, with --json.
type jsonListed struct {
	File    string       `json:"file"`
	Size    uint64       `json:"size"`
	Time    time.Time    `json:"time"`              // of the dump, or of the file if it can't be read
	Process *processInfo `json:"process,omitempty"` // if it can be read
	Reason  *reason      `json:"reason,omitempty"`

	Signature string `json:"signature,omitempty"` // what crashes of this kind have in common, if the dump records it

	Error string `json:"error,omitempty"` // why it can't be read
}

func listJSON(to io.Writer, all []listed) error {
	out := json.NewEncoder(to)
	for i := range all {
		d := &all[i]
		j := jsonListed{File: d.name, Size: uint64(d.size), Time: d.time.UTC()}
		if d.err != nil {
			j.Error = d.err.Error()
		} else {
			j.Process, j.Reason, j.Signature = &d.info.Process, d.info.Reason, d.info.Signature
		}
		if err := out.Encode(&j); err != nil {
			return fmt.Errorf("write: %w", bare(err))
		}
	}
	return nil
}

// listFolder returns the dumps in dir. It opens only regular files in the folder itself: other users may have put
// links or pipes there.
func listFolder(dir string, whole bool) ([]listed, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	folder, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	entries, err := folder.Readdir(-1)
	var list []listed
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), dumpfile.Ext) || !e.Mode().IsRegular() {
			continue
		}
		d := listed{time: e.ModTime(), size: e.Size(), name: e.Name()}
		if whole {
			d.name = joinFolder(dir, d.name)
		}
		d.read(root, e)
		list = append(list, d)
	}
	return list, err
}

// read reads the process, the reason and the time from the dump.
func (d *listed) read(root *os.Root, e os.FileInfo) {
	file, err := root.OpenFile(e.Name(), os.O_RDONLY|nonBlocking, 0)
	if err == nil {
		if info, e2 := file.Stat(); e2 != nil || !os.SameFile(info, e) {
			file.Close()
			err = errors.New("it has just been replaced")
		}
	}
	if err != nil {
		d.err = bare(err)
		return
	}
	f, err := openDumpFile(file)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		d.err = bare(err)
		return
	}
	defer f.Close()
	info := readDump(f, "")
	if info.Created != nil {
		d.time = *info.Created
	}
	d.what, d.info = info.brief(), info
}
