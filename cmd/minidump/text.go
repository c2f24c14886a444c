package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// textOptions select how much printText lists.
type textOptions struct {
	all    bool // everything
	memory bool // the memory ranges

	allGoroutines bool // those of the runtime too, each by itself
}

// Widths in columns: of a plain terminal, and of the labels in the first part.
const (
	textWidth  = 80
	labelWidth = 10
)

// page prints a dump as text.
type page struct {
	io.Writer
	d *dumpInfo
	textOptions
}

func printText(w io.Writer, d *dumpInfo, o textOptions) {
	p := page{w, d, o}
	p.summary()
	p.registers()
	p.threads()
	p.stacks()
	p.goroutines()
	p.modules()
	p.memoryRanges()
	p.handles()
	p.traces()
	p.annotations()
	p.softErrors()
	p.problems()
	if p.all {
		p.streams()
	}
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

// entry prints a label and its text, wrapped to as many lines as needed.
func (p *page) entry(label, text string) {
	p.line("%-*s%s", labelWidth, label, wrap(text, labelWidth, textWidth))
}

// some returns how many of n entries of a list are printed.
func (p *page) some(n int) int {
	const most = 50
	if p.all || n <= most {
		return n
	}
	return most
}

// rest prints how many of n entries of a list were not printed.
func (p *page) rest(n int) {
	if shown := p.some(n); shown < n {
		p.line("  … and %d more (-v shows all)", n-shown)
	}
}

func (p *page) summary() {
	d := p.d
	p.entry("File", printable(d.File))
	text := fmt.Sprintf("%s, %s-endian, %s", bytesText(d.Size), d.ByteOrder, count(len(d.Streams), "stream"))
	if d.Created != nil {
		text += ", created " + timeText(d.Created)
	}
	p.entry("", text)
	p.process()
	p.system()
	p.reason()
	p.said()
}

// brief returns the dump in one line.
func (d *dumpInfo) brief() string {
	text := d.Process.text()
	if d.Reason != nil {
		text += ": " + d.Reason.text()
	}
	if d.Signature != "" {
		text += " in " + d.Signature
	}
	if thread := d.blamedText(); thread != "" {
		text += ", thread " + thread
	}
	if d.File != "" {
		text = d.File + ": " + text
	}
	return printable(text)
}

// text returns "name (PID 12)", without the parts that are not known.
func (r *processInfo) text() string {
	text := printable(r.Name)
	switch {
	case r.PID != 0 && text != "":
		return fmt.Sprintf("%s (PID %d)", text, r.PID)
	case r.PID != 0:
		return fmt.Sprintf("PID %d", r.PID)
	case text != "":
		return text + ", PID not known"
	}
	return "not known"
}

func (p *page) process() {
	d, r := p.d, &p.d.Process
	text := r.text()
	if r.Started != nil {
		text += ", started " + timeText(r.Started)
	}
	p.entry("Process", text)
	text = ""
	if r.Started != nil && d.Created != nil && !d.Created.Before(*r.Started) {
		text = fmt.Sprintf("ran for %v; ", d.Created.Sub(*r.Started))
	}
	if r.UserTime != nil && r.KernelTime != nil {
		text += fmt.Sprintf("CPU time %v user, %v kernel", time.Duration(*r.UserTime)*time.Second,
			time.Duration(*r.KernelTime)*time.Second)
	}
	if text != "" {
		p.entry("", strings.TrimSuffix(text, "; "))
	}
	if len(r.CommandLine) > 0 {
		const most = 4 * (textWidth - labelWidth)
		text = commandText(r.CommandLine)
		if utf8.RuneCountInString(text) > most && !p.all {
			text = string([]rune(text)[:most]) + "…"
		}
		p.entry("Command", text)
	}
}

func (p *page) system() {
	s := p.d.System
	if s == nil {
		p.entry("System", "not known: the dump does not say")
		return
	}
	p.entry("System", printable(s.text()))
	text := s.CPU
	if s.CPUName != "" {
		text += ", " + s.CPUName
	} else if s.CPUVendor != "" {
		text += ", " + s.CPUVendor
	}
	if (s.CPU == "amd64" || s.CPU == "x86") && s.CPULevel != 0 {
		text += fmt.Sprintf(", family %d model %d stepping %d", s.CPULevel, s.CPURevision>>8, s.CPURevision&0xff)
	}
	if s.CPUs != 0 {
		text += ", " + count(int(s.CPUs), "processor")
	}
	p.entry("CPU", printable(text))
}

// text returns the system with its distribution and build.
func (s *systemInfo) text() string {
	text := s.OS + " " + s.Version
	switch {
	case strings.HasPrefix(s.Build, s.OS+" "): // on Linux Build is the whole uname
		text = s.Build
	case s.Build != "":
		text += " (" + s.Build + ")"
	}
	if s.Distribution != "" {
		text = s.Distribution + ", " + text
	}
	return text
}

func (p *page) reason() {
	d := p.d
	if d.Reason == nil {
		p.entry("Reason", "not known: the dump has no exception")
	} else {
		p.entry("Reason", printable(d.Reason.text()))
	}
	if d.Signature != "" {
		p.entry("Signature", printable(d.Signature))
	}
	id, ok := d.blamed()
	if !ok {
		return
	}
	t := d.thread(id)
	p.entry("Thread", d.blamedText())
	if d.Reason != nil && d.Reason.Instruction != "" {
		p.entry("Code", printable(d.Reason.Instruction))
	}
	if t != nil && t.LastError != nil {
		p.entry("", "last error "+lastErrorText(*t.LastError))
	}
	note := ""
	if d.Reason != nil {
		note = d.Reason.ContextNote
	} else if t != nil {
		note = t.ContextNote
	}
	if note != "" {
		p.entry("", note)
	}
}

// blamedText returns the thread that the dump is about and where it was, or "" if the dump does not say.
func (d *dumpInfo) blamedText() string {
	id, ok := d.blamed()
	if !ok {
		return ""
	}
	text := strconv.FormatUint(uint64(id), 10)
	t := d.thread(id)
	switch {
	case t == nil:
		text += " (not in the thread list)"
	case t.Name != "":
		text += " " + strconv.Quote(printable(t.Name))
	}
	if d.Reason != nil && d.Reason.IP != nil {
		text += " at " + d.Reason.IP.String()
	} else if t != nil && t.IP != nil {
		text += " at " + t.IP.String()
	}
	return text
}

// said prints texts from the program or the writer: a failed assertion, a comment, macOS crash information.
func (p *page) said() {
	d := p.d
	if a := d.Assertion; a != nil {
		p.entry("Assertion", printable(a.text()))
	}
	if d.Comment != "" {
		p.entry("Comment", printable(d.Comment))
	}
	for i := range d.CrashInfo {
		c := &d.CrashInfo[i]
		for _, text := range []string{c.Message, c.Message2, c.Signature, c.Backtrace} {
			if text = strings.TrimSpace(text); text != "" {
				p.entry("Message", printable(baseName(c.Module)+": "+text))
			}
		}
	}
	if d.BootArgs != "" {
		p.entry("Boot", printable(d.BootArgs))
	}
}

// text returns "p != NULL in f, a.c:7 (invalid parameter)", without the parts that are missing.
func (a *assertion) text() string {
	text := a.Expression
	if text == "" {
		text = "failed"
	}
	if a.Function != "" {
		text += " in " + a.Function
	}
	if a.File != "" {
		text += ", " + a.File
		if a.Line != 0 {
			text += ":" + strconv.FormatUint(uint64(a.Line), 10)
		}
	}
	if a.Type != "" {
		text += " (" + a.Type + ")"
	}
	return text
}

// statusRegisters are short and contain no addresses. They are printed last, in one line.
var statusRegisters = map[string]bool{"eflags": true, "cs": true, "ss": true, "ds": true, "es": true, "fs": true,
	"gs": true, "cpsr": true, "cr": true, "xer": true}

// registersOf returns the registers of the thread that the dump is about: those of the exception, or the thread's if the exception
// has none.
func (d *dumpInfo) registersOf(blamed uint32) registers {
	if d.Reason != nil && d.Reason.Registers != nil {
		return d.Reason.Registers
	}
	if t := d.thread(blamed); t != nil {
		return t.Registers
	}
	return nil
}

func (p *page) registers() {
	id, ok := p.d.blamed()
	if !ok {
		return
	}
	list := p.d.registersOf(id)
	if len(list) == 0 {
		return
	}
	p.line("\nRegisters of thread %d", id)
	digits := 2 * p.d.System.arch.WordSize()
	name := 3
	for _, r := range list {
		if !statusRegisters[r.Name] {
			name = max(name, len(r.Name))
		}
	}
	columns := (textWidth - 1) / (2 + name + 1 + digits)
	var status strings.Builder
	n := 0
	for _, r := range list {
		if statusRegisters[r.Name] {
			fmt.Fprintf(&status, "  %s %x", r.Name, r.Value)
			continue
		}
		fmt.Fprintf(p, "  %*s %0*x", name, r.Name, digits, r.Value)
		if n++; n%columns == 0 {
			p.line("")
		}
	}
	if n%columns != 0 {
		p.line("")
	}
	if status.Len() > 0 {
		p.line("%s", status.String())
	}
}

func (p *page) threads() {
	list := p.d.Threads
	p.line("\nThreads (%d)", len(list))
	shown := list[:p.some(len(list))]
	id, ok := p.d.blamed()
	// The thread that the dump is about is always shown.
	if t := p.d.thread(id); ok && t != nil && len(shown) < len(list) {
		among := false
		for i := range shown {
			among = among || shown[i].ID == id
		}
		if !among {
			shown = append([]threadInfo{*t}, shown[:len(shown)-1]...)
		}
	}
	if len(shown) == 0 {
		return
	}
	tid, name := len("TID"), len("NAME")
	for i := range shown {
		tid = max(tid, len(strconv.FormatUint(uint64(shown[i].ID), 10)))
		name = max(name, width(p.threadName(&shown[i])))
	}
	p.line("  %*s  %s  %6s  %s", tid+1, "TID", pad("NAME", name), "STACK", "AT")
	for i := range shown {
		t := &shown[i]
		mark, stack, at := " ", "-", "-"
		if ok && t.ID == id {
			mark = "*"
		}
		if t.StackSize != 0 {
			stack = bytesText(uint64(t.StackSize))
		}
		if t.IP != nil {
			at = t.IP.String()
		}
		p.line("  %s%*d  %s  %6s  %s", mark, tid, t.ID, pad(p.threadName(t), name), stack, at)
	}
	p.rest(len(list))
}

// threadName returns a thread's name as the table shows it.
func (p *page) threadName(t *threadInfo) string {
	const most = 32
	name := printable(t.Name)
	if width(name) > most && !p.all {
		name = string([]rune(name)[:most-1]) + "…"
	}
	return name
}

func (p *page) modules() {
	list := p.d.Modules
	p.line("\nModules (%d)", len(list))
	shown := list[:p.some(len(list))]
	if len(shown) > 0 {
		digits, id := 8, len("DEBUG ID")
		for i := range shown {
			digits = max(digits, len(shown[i].Base.String())-2)
			id = max(id, len(shown[i].DebugID))
		}
		p.line("  %-*s  %6s  %-*s  %s", digits, "BASE", "SIZE", id, "DEBUG ID", "NAME")
		for i := range shown {
			m := &shown[i]
			name := m.Name
			if !p.all {
				name = baseName(name)
			}
			if name = printable(name); name == "" {
				name = "-"
			}
			if m.Version != "" && !strings.HasSuffix(name, "."+m.Version) {
				name += " (" + m.Version + ")"
			}
			debugID := m.DebugID
			if debugID == "" {
				debugID = "-"
			}
			p.line("  %0*x  %6s  %-*s  %s", digits, uint64(m.Base), bytesText(uint64(m.Size)), id, debugID, name)
		}
	}
	p.rest(len(list))
	if n := len(p.d.Unloaded); n > 0 {
		p.line("\nUnloaded modules (%d)%s", n, p.hint())
		if p.all {
			for i := range p.d.Unloaded {
				m := &p.d.Unloaded[i]
				p.line("  %012x  %6s  %s", uint64(m.Base), bytesText(uint64(m.Size)), printable(m.Name))
			}
		}
	}
}

// hint returns how to see the entries of a list that is only counted.
func (p *page) hint() string {
	if p.all {
		return ""
	}
	return ", -v lists them"
}

func (p *page) memoryRanges() {
	d := p.d
	total := uint64(0)
	for _, r := range d.Memory {
		total += r.Size
	}
	text := fmt.Sprintf("%s, %s", count(len(d.Memory), "range"), bytesText(total))
	if len(d.Memory) > 0 && !p.memory {
		text += " (--memory lists them)"
	}
	p.line("")
	p.entry("Memory", text)
	if p.memory {
		held := d.heldBy()
		for i, r := range d.Memory {
			p.line("  %012x-%012x  %6s  %s", uint64(r.Address), uint64(r.Address)+r.Size, bytesText(r.Size), held[i])
		}
	}
	p.memoryCounters()
	if n := len(d.Mappings); n > 0 {
		p.entry("Mappings", fmt.Sprintf("%d%s", n, p.hint()))
		if p.all {
			for _, m := range d.Mappings {
				text := fmt.Sprintf("  %012x-%012x  %6s  %s", uint64(m.Address), uint64(m.Address)+uint64(m.Size),
					bytesText(uint64(m.Size)), m.Access)
				if at := d.at(uint64(m.Address)); at.Module != "" {
					text += "  " + printable(baseName(at.Module))
				}
				p.line("%s", text)
			}
		}
	}
}

// memoryCounters prints Windows' counters for the memory of the process and of the machine.
func (p *page) memoryCounters() {
	if v := p.d.VM; v != nil {
		text := fmt.Sprintf("process: working set %s, peak %s, pagefile %s", bytesText(v.WorkingSet),
			bytesText(v.PeakWorkingSet), bytesText(v.Pagefile))
		if v.Private != nil {
			text += ", private " + bytesText(*v.Private)
		}
		if v.VirtualSize != nil {
			text += ", virtual " + bytesText(*v.VirtualSize)
		}
		p.entry("", text)
	}
	if m := p.d.SystemMemory; m != nil {
		pages := func(n uint64) string { return bytesText(n * uint64(m.PageSize)) }
		p.entry("", fmt.Sprintf("machine: %s, %s available, committed %s of %s", pages(uint64(m.Physical)),
			pages(m.Available), pages(m.Committed), pages(m.CommitLimit)))
	}
}

// heldBy returns what each memory range contains: the stack of a thread, or a piece of a module.
func (d *dumpInfo) heldBy() []string {
	out := make([]string, len(d.Memory))
	index := func(address uint64) int {
		i := sort.Search(len(d.Memory), func(i int) bool {
			return d.Memory[i].Size-1 >= address-uint64(d.Memory[i].Address) || uint64(d.Memory[i].Address) > address
		})
		if i < len(d.Memory) && uint64(d.Memory[i].Address) <= address {
			return i
		}
		return -1
	}
	for i, r := range d.Memory {
		if at := d.at(uint64(r.Address)); at.Module != "" {
			out[i] = at.String()
		}
	}
	for i := range d.Threads {
		t := &d.Threads[i]
		address := uint64(t.StackStart)
		if t.StackSize == 0 {
			address = uint64(t.SP)
		}
		if k := index(address); k >= 0 && (t.StackSize != 0 || t.SP != 0) && out[k] == "" {
			out[k] = fmt.Sprintf("stack of thread %d", t.ID)
			if t.Name != "" {
				out[k] += " " + strconv.Quote(printable(t.Name))
			}
		}
	}
	return out
}

func (p *page) handles() {
	n := len(p.d.Handles)
	if n == 0 {
		return
	}
	p.entry("Handles", fmt.Sprintf("%d%s", n, p.hint()))
	if p.all {
		for _, h := range p.d.Handles {
			p.line("  %6d  %-16s  %s", h.Handle, printable(h.Type), printable(h.Name))
		}
	}
}

// traces prints the Windows streams that few dumps have: handle operations, tokens, tables of functions.
func (p *page) traces() {
	d := p.d
	if n := len(d.HandleOps); n > 0 {
		p.entry("Handle", fmt.Sprintf("operations: %d%s", n, p.hint()))
		for i := range d.HandleOps[:p.listed(n)] {
			o := &d.HandleOps[i]
			at := ""
			if len(o.Stack) > 0 {
				at = " at " + o.Stack[0].String()
			}
			p.line("  %s of handle %v by thread %d%s", o.Op, o.Handle, o.Thread, at)
		}
	}
	if n := len(d.Tokens); n > 0 {
		p.entry("Tokens", fmt.Sprintf("%d%s", n, p.hint()))
		for i := range d.Tokens[:p.listed(n)] {
			p.line("  %s", d.Tokens[i].text())
		}
	}
	if n := len(d.Functions); n > 0 {
		p.entry("Functions", fmt.Sprintf("generated at run time: %s%s", count(n, "table"), p.hint()))
		for _, t := range d.Functions[:p.listed(n)] {
			p.line("  %012x-%012x  %s", uint64(t.Start), uint64(t.End), count(t.Entries, "function"))
		}
	}
}

// listed returns how many of n entries are printed of a list that is only counted without -v.
func (p *page) listed(n int) int {
	if p.all {
		return n
	}
	return 0
}

func (p *page) annotations() {
	d := p.d
	if len(d.Annotations) > 0 || d.ReportID != "" || d.ClientID != "" {
		p.line("\nAnnotations (%d)", len(d.Annotations))
		if d.ReportID != "" {
			p.line("  report id %s", d.ReportID)
		}
		if d.ClientID != "" {
			p.line("  client id %s", d.ClientID)
		}
		p.pairs(d.Annotations)
	}
	for i := range d.ModuleAnnotations {
		m := &d.ModuleAnnotations[i]
		if len(m.List)+len(m.Simple)+len(m.Objects) == 0 {
			continue
		}
		p.line("\nAnnotations of %s (%d)", printable(baseName(m.Module)), len(m.List)+len(m.Simple)+len(m.Objects))
		for _, text := range m.List[:p.some(len(m.List))] {
			p.line("  %s", printable(text))
		}
		p.rest(len(m.List))
		p.pairs(m.Simple)
		for _, o := range m.Objects[:p.some(len(m.Objects))] {
			p.line("  %s = %s", printable(o.Name), printable(o.Value))
		}
		p.rest(len(m.Objects))
	}
}

func (p *page) pairs(list []annotation) {
	for _, a := range list[:p.some(len(list))] {
		p.line("  %s = %s", printable(a.Key), printable(a.Value))
	}
	p.rest(len(list))
}

func (p *page) softErrors() {
	if p.d.soft == "" {
		return
	}
	lines := softLines(p.d.soft)
	if len(lines) == 0 {
		return
	}
	p.line("\nMissing from this dump (%d)", len(lines))
	for _, l := range lines[:p.some(len(lines))] {
		p.line("  %s", wrap(printable(l), 4, textWidth))
	}
	p.rest(len(lines))
}

// softLines converts the JSON text of the soft errors to lines of plain text. Each writer builds the tree differently:
// names as strings, {"name": details}, {"name": [more of these]}.
func softLines(text string) []string {
	var root any
	if json.Unmarshal([]byte(text), &root) != nil {
		return []string{text}
	}
	var lines []string
	var walk func(v any, name string)
	walk = func(v any, name string) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x, name)
			}
			return
		case map[string]any:
			if what, ok := v["what"].(string); ok {
				lines = append(lines, ownSoftError(what, v))
				return
			}
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				switch v[k].(type) {
				case map[string]any, []any:
					walk(v[k], k)
				default:
					lines = append(lines, fmt.Sprintf("%s: %v", k, v[k]))
				}
			}
			return
		case string:
			if name != "" && name != "InitErrors" {
				lines = append(lines, name+": "+v)
				return
			}
		}
		lines = append(lines, fmt.Sprint(v))
	}
	walk(root, "")
	return lines
}

// ownSoftError renders an entry in this module's own format.
func ownSoftError(what string, v map[string]any) string {
	if s, ok := v["subject"].(string); ok {
		what += " " + strconv.Quote(s)
	}
	if n, ok := v["thread"].(float64); ok {
		what += fmt.Sprintf(" of thread %.0f", n)
	}
	if s, ok := v["address"].(string); ok {
		what += " at " + s
	}
	if s, ok := v["error"].(string); ok {
		what += ": " + s
	}
	return what
}

func (p *page) problems() {
	list := p.d.Problems
	if len(list) == 0 {
		return
	}
	p.line("\nProblems in the file (%d)", len(list))
	for _, l := range list[:p.some(len(list))] {
		p.line("  %s", wrap(printable(l), 4, textWidth))
	}
	p.rest(len(list))
}

func (p *page) streams() {
	p.line("\nStreams (%d)", len(p.d.Streams))
	for _, s := range p.d.Streams {
		p.line("  %10s  %-24s  %6s at %#x", s.Type, s.Name, bytesText(uint64(s.Size)), s.Offset)
	}
}

func timeText(t *time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") }

// commandText returns a command line quoted as for a shell.
func commandText(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; a == "" || a != printable(a) || strings.ContainsAny(a, " \"'`$&|;<>()*?[]#~!\\") {
			quoted[i] = strconv.Quote(a)
		}
	}
	return strings.Join(quoted, " ")
}

// printable returns text with everything except visible characters escaped, such as \x1b: text from a dump must not
// control the terminal.
func printable(text string) string {
	clean := utf8.ValidString(text)
	for _, r := range text {
		clean = clean && unicode.IsPrint(r)
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				fmt.Fprintf(&b, `\x%02x`, text[i])
				continue
			}
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRune(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

func width(text string) int { return utf8.RuneCountInString(text) }

// pad pads text with spaces to n characters.
func pad(text string, n int) string { return text + strings.Repeat(" ", max(0, n-width(text))) }
