package stream

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"minidump/internal/errtext"
)

// maxProblems bounds the number of reported problems: a hostile file could have one for each of its words.
const maxProblems = 1000

// maxName is the largest number of bytes of a name that is reported.
const maxName = 256

// Problems states in plain words what is wrong with a minidump: what lies outside of the file or can't be read, duplicate or
// overlapping streams, duplicate threads, stacks that are missing from the memory lists, memory that is in the file twice, and
// references to missing threads and modules. An empty result means that a careful reader accepts the file.
func Problems(f *File) []string {
	c := checker{f: f}
	c.streams()
	c.system()
	c.threads()
	c.modules()
	c.memory()
	c.others()
	return c.list
}

type checker struct {
	f    *File
	list []string
}

// add adds the problem with the text that errtext.Join makes of parts.
func (c *checker) add(parts ...any) {
	if len(c.list) < maxProblems {
		c.list = append(c.list, errtext.Join(parts...))
	}
}

// quoted is a name from the file. The quotes are added only when a problem is reported.
type quoted string

func (q quoted) String() string { return strconv.Quote(string(q)) }

// failed adds err, unless it is nil or the stream is absent.
func (c *checker) failed(err error) {
	if err != nil && !errors.Is(err, ErrNoStream) {
		c.add(err)
	}
}

// location adds a problem if loc is not inside the file, and reports whether it is.
func (c *checker) location(loc Location, what ...any) bool {
	if c.f.inside(uint64(loc.RVA), uint64(loc.DataSize)) {
		return true
	}
	c.add(errtext.Join(what...), ": ", loc.DataSize, " bytes at ", errtext.Hex(loc.RVA),
		" are outside the file of ", c.f.size, " bytes")
	return false
}

// streams checks the directory: all streams must lie in the file, must not overlap, and must be unique.
func (c *checker) streams() {
	type piece struct {
		start, end uint64
		what       string
	}
	directory := uint64(c.f.Header.StreamDirectoryRVA)
	pieces := []piece{
		{0, HeaderSize, "the header"},
		{directory, directory + uint64(len(c.f.Directory))*DirectorySize, "the directory"},
	}
	seen := map[Type]bool{}
	for _, d := range c.f.Directory {
		if d.Type == UnusedStream {
			continue
		}
		if seen[d.Type] {
			c.add(d.Type, " occurs twice")
		}
		seen[d.Type] = true
		if c.location(d.Location, d.Type) {
			start := uint64(d.Location.RVA)
			pieces = append(pieces, piece{start, start + uint64(d.Location.DataSize), d.Type.String()})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.start, b.start) })
	var before piece
	for _, p := range pieces {
		if p.start == p.end {
			continue
		}
		if p.start < before.end {
			c.add(p.what, " at ", errtext.Hex(p.start), " overlaps ", before.what, ", which ends at ", errtext.Hex(before.end))
		}
		if p.end > before.end {
			before = p
		}
	}
}

func (c *checker) system() {
	_, _, err := c.f.SystemInfo()
	if errors.Is(err, ErrNoStream) {
		c.add(SystemInfoStream, " is missing: CPU contexts can't be read without it")
	}
	c.failed(err)
}

// threads checks the threads, their stacks and names, and the exception.
func (c *checker) threads() {
	threads, err := c.f.Threads()
	if errors.Is(err, ErrNoStream) {
		c.add(ThreadListStream, " is missing")
	}
	c.failed(err)
	ranges, _ := c.f.MemoryRanges()
	runs := touching(ranges)
	context := map[uint32]Location{}
	for i := range threads {
		t := &threads[i]
		if _, twice := context[t.ThreadID]; twice {
			c.add("thread ", t.ThreadID, " is listed twice")
		}
		context[t.ThreadID] = t.Context
		c.location(t.Context, "context of thread ", t.ThreadID)
		stack := MemoryRange{t.Stack.Start, uint64(t.Stack.Memory.DataSize), uint64(t.Stack.Memory.RVA)}
		if stack.Size == 0 || !c.location(t.Stack.Memory, "stack of thread ", t.ThreadID) {
			continue
		}
		if !holds(runs, stack) {
			c.add("stack of thread ", t.ThreadID, ", ", stack.Size, " bytes at ", errtext.Hex(stack.Addr),
				", is not in a memory list")
		}
	}
	names, err := c.f.ThreadNames()
	c.failed(err)
	for _, id := range sortedKeys(names) {
		if _, known := context[id]; !known {
			c.add("name of thread ", id, ", which is not in the thread list")
		}
	}
	exception, err := c.f.Exception()
	c.failed(err)
	if err != nil {
		return
	}
	c.location(exception.Context, "context of the exception")
	if _, known := context[exception.ThreadID]; !known {
		c.add("exception in thread ", exception.ThreadID, ", which is not in the thread list")
	}
	if exception.NumberParameters > EXCEPTION_MAXIMUM_PARAMETERS {
		c.add("exception has ", exception.NumberParameters, " parameters")
	}
}

// touching joins adjacent ranges. Offset is meaningless in the result.
func touching(ranges []MemoryRange) []MemoryRange {
	var runs []MemoryRange
	for _, m := range ranges {
		if n := len(runs); n > 0 && runs[n-1].last()+1 == m.Addr {
			runs[n-1].Size += m.Size
			continue
		}
		runs = append(runs, m)
	}
	return runs
}

// holds reports whether ranges, which are sorted and don't overlap, contain all addresses of m.
func holds(ranges []MemoryRange, m MemoryRange) bool {
	i, _ := slices.BinarySearchFunc(ranges, m.Addr, func(r MemoryRange, addr uint64) int {
		return cmp.Compare(r.last(), addr)
	})
	return i < len(ranges) && ranges[i].Addr <= m.Addr && ranges[i].last()-m.Addr+1 >= m.Size
}

func sortedKeys(names map[uint32]string) []uint32 {
	keys := make([]uint32, 0, len(names))
	for k := range names {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (c *checker) modules() {
	modules, err := c.f.Modules()
	if errors.Is(err, ErrNoStream) {
		c.add(ModuleListStream, " is missing")
	}
	c.failed(err)
	for i := range modules {
		m := &modules[i]
		m.Name = m.Name[:min(len(m.Name), maxName)]
		c.location(m.CvRecord, "CodeView record of module ", quoted(m.Name))
		c.location(m.MiscRecord, "misc record of module ", quoted(m.Name))
		if m.Name == "" {
			c.add("module at ", errtext.Hex(m.BaseOfImage), " has no name")
		}
		if m.SizeOfImage == 0 {
			c.add("module ", quoted(m.Name), " has no size")
		}
	}
	byBase := slices.Clone(modules)
	slices.SortStableFunc(byBase, func(a, b ModuleInfo) int { return cmp.Compare(a.BaseOfImage, b.BaseOfImage) })
	for i := 1; i < len(byBase); i++ {
		a, b := &byBase[i-1], &byBase[i]
		if a.BaseOfImage == b.BaseOfImage && a.SizeOfImage == b.SizeOfImage && a.Name == b.Name {
			c.add("module ", quoted(a.Name), " at ", errtext.Hex(a.BaseOfImage), " is listed twice")
			continue
		}
		if b.BaseOfImage-a.BaseOfImage < uint64(a.SizeOfImage) {
			c.add("modules ", quoted(a.Name), " at ", errtext.Hex(a.BaseOfImage), " and ", quoted(b.Name), " at ",
				errtext.Hex(b.BaseOfImage), " overlap")
		}
	}
	_, err = c.f.UnloadedModules()
	c.failed(err)
}

func (c *checker) memory() {
	list, err := c.f.rawRanges()
	c.failed(err)
	held := uint64(0)
	for i := range list {
		held += list[i].Size
	}
	merged, _ := c.f.MemoryRanges()
	for i := range merged {
		held -= merged[i].Size
	}
	if held != 0 {
		c.add(held, " bytes of memory are stored more than once")
	}
	_, err = c.f.MemoryInfo()
	c.failed(err)
}

// others checks that the remaining streams are readable.
func (c *checker) others() {
	c.handles()
	c.windows()
	_, err := c.f.MacosCrashInfo()
	c.failed(err)
	_, err = c.f.MacosBootargs()
	c.failed(err)
	_, err = c.f.MiscInfo()
	c.failed(err)
	_, err = c.f.BreakpadInfo()
	c.failed(err)
	_, err = c.f.ThreadInfo()
	c.failed(err)
	_, err = c.f.DSODebug()
	c.failed(err)
	sets, err := c.f.RegisterSets()
	c.failed(err)
	for i := range sets {
		c.location(sets[i].Data, "register set ", errtext.Hex(sets[i].NoteType), " of thread ", sets[i].ThreadID)
	}
	crashpad, err := c.f.CrashpadInfo()
	c.failed(err)
	modules, _ := c.f.Modules()
	for i := range crashpad.Modules {
		if index := crashpad.Modules[i].ModuleIndex; uint64(index) >= uint64(len(modules)) {
			c.add("annotations of module ", index, " of ", len(modules))
		}
	}
}

// handles checks the handles and what their object information points to.
func (c *checker) handles() {
	list, err := c.f.Handles()
	c.failed(err)
	left := c.f.size // the lists of several handles can share elements
	for i := range list {
		if list[i].ObjectInfoRVA == 0 {
			continue
		}
		objects, err := c.f.HandleObjects(list[i].ObjectInfoRVA)
		c.failed(err)
		used := uint64(HandleObjectInformationSize)
		for k := range objects {
			used += uint64(objects[k].SizeOfInfo)
		}
		if used > left {
			return
		}
		left -= used
	}
	_, err = c.f.HandleOperations()
	c.failed(err)
}

// windows checks the Windows streams that are not about handles.
func (c *checker) windows() {
	_, err := c.f.Tokens()
	c.failed(err)
	_, err = c.f.FunctionTables()
	c.failed(err)
	_, err = c.f.SystemMemoryInfo()
	c.failed(err)
	_, err = c.f.ProcessVMCounters()
	c.failed(err)
	_, err = c.f.Assertion()
	c.failed(err)
}
