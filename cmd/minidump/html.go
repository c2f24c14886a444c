package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

// htmlPage is the data of the template page.html. The page loads nothing: no script, font or picture.
type htmlPage struct {
	Title, Process, Reason string
	Facts                  []annotation
	Crashed                *htmlStack
	Registers              []annotation
	Threads                []htmlStack
	Goroutines             string
	Annotations            []annotation
	Modules                []htmlModule
	Mappings               []htmlMapping
	Handles                []annotation
	Environment            []annotation
	Missing                string
}

type htmlStack struct {
	Title  string
	Frames []htmlFrame
}

type htmlFrame struct {
	*frameInfo
	ShortFile, ShortModule, Note string
}

type htmlModule struct{ Base, Size, Name, Version, ID string }

type htmlMapping struct{ Address, Size, Access, What string }

// printHTML prints the dump as one page for a browser. All text from the dump is escaped: an attacker may have made the
// dump.
func printHTML(to io.Writer, d *dumpInfo) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	return t.Execute(to, d.page())
}

func (d *dumpInfo) page() *htmlPage {
	p := &htmlPage{Title: d.Process.text(), Process: d.Process.text(), Reason: "no crash: the dump was requested"}
	if d.Reason != nil {
		p.Reason = d.Reason.text()
		p.Title += ": " + p.Reason
	}
	p.facts(d)
	p.stacks(d)
	if id, ok := d.blamed(); ok {
		p.registers(d, id)
	}
	if d.Goroutines != nil {
		var b bytes.Buffer
		(&page{&b, d, textOptions{}}).goroutines()
		p.Goroutines = strings.TrimSpace(b.String())
	}
	p.Annotations = append(p.Annotations, d.Annotations...)
	for _, m := range d.ModuleAnnotations {
		p.Annotations = append(p.Annotations, m.Simple...)
		for _, o := range m.Objects {
			p.Annotations = append(p.Annotations, annotation{o.Name, o.Value})
		}
	}
	p.memory(d)
	for _, v := range strings.Split(d.Texts["LinuxEnviron"], "\x00") {
		if key, value, ok := strings.Cut(v, "="); ok {
			p.Environment = append(p.Environment, annotation{key, value})
		}
	}
	var missing bytes.Buffer
	soft := page{&missing, d, textOptions{}}
	soft.softErrors()
	soft.problems()
	p.Missing = strings.TrimSpace(missing.String())
	return p
}

// facts fills the lines at the top of the page.
func (p *htmlPage) facts(d *dumpInfo) {
	add := func(key, value string) {
		if value != "" {
			p.Facts = append(p.Facts, annotation{key, value})
		}
	}
	add("Signature", d.Signature)
	if thread := d.blamedText(); thread != "" {
		add("Thread", thread)
	}
	if d.Reason != nil {
		add("Code", d.Reason.Instruction)
	}
	add("Command", commandText(d.Process.CommandLine))
	if d.Process.Started != nil {
		add("Started", timeText(d.Process.Started))
	}
	if d.Created != nil {
		add("Dumped", timeText(d.Created))
	}
	if d.System != nil {
		add("System", d.System.text())
		add("CPU", strings.TrimSpace(d.System.CPU+" "+d.System.CPUName))
	}
	if d.Assertion != nil {
		add("Assertion", d.Assertion.text())
	}
	add("Comment", d.Comment)
	add("File", d.File)
}

func (p *htmlPage) stacks(d *dumpInfo) {
	blamed, ok := d.blamed()
	for _, g := range d.stackGroups() {
		s := htmlStack{Title: fmt.Sprintf("Thread %d", g.threads[0])}
		if t := d.thread(g.threads[0]); t != nil && t.Name != "" {
			s.Title += " “" + t.Name + "”"
		}
		if n := len(g.threads); n > 1 {
			s.Title += fmt.Sprintf(" and %d more with the same stack", n-1)
		}
		for i := range g.frames {
			f := &g.frames[i]
			h := htmlFrame{frameInfo: f, ShortFile: baseName(f.File), ShortModule: baseName(f.Module)}
			switch {
			case f.Inlined:
				h.Note = "inlined"
			case f.Signal:
				h.Note = "interrupted by a signal"
			case f.Function == "" && f.Module != "":
				h.Note = "+" + f.RVA.String()
			}
			s.Frames = append(s.Frames, h)
		}
		if ok && g.threads[0] == blamed {
			p.Crashed = &s
		} else {
			p.Threads = append(p.Threads, s)
		}
	}
}

func (p *htmlPage) registers(d *dumpInfo, id uint32) {
	for _, r := range d.registersOf(id) {
		p.Registers = append(p.Registers, annotation{r.Name, fmt.Sprintf("%#x", r.Value)})
	}
}

func (p *htmlPage) memory(d *dumpInfo) {
	for i := range d.Modules {
		m := &d.Modules[i]
		id := m.BuildID
		if id == "" {
			id = m.DebugID
		}
		p.Modules = append(p.Modules, htmlModule{m.Base.String(), bytesText(uint64(m.Size)), m.Name, m.Version, id})
	}
	for i := range d.Mappings {
		m := &d.Mappings[i]
		what := ""
		if at := d.at(uint64(m.Address)); at != nil {
			what = at.Module
		}
		p.Mappings = append(p.Mappings, htmlMapping{m.Address.String(), bytesText(uint64(m.Size)), m.Access, what})
	}
	for i := range d.Handles {
		h := &d.Handles[i]
		p.Handles = append(p.Handles, annotation{strconv.FormatUint(h.Handle, 10), strings.TrimSpace(h.Type + " " + h.Name)})
	}
}
