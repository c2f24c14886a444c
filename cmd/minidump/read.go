package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"minidump/context"
	"minidump/stream"
)

// readDump reads the whole dump. Problems lists what can't be read.
func readDump(f *stream.File, path string) *dumpInfo {
	d := &dumpInfo{File: path, Size: f.Size(), ByteOrder: "little", Version: hex(f.Header.Version),
		Flags: hex(f.Header.Flags), Texts: map[string]string{}, budget: 4*f.Size() + 1<<20}
	if f.Order.Uint16([]byte{0, 1}) == 1 {
		d.ByteOrder = "big"
	}
	if f.Header.TimeDateStamp != 0 {
		d.Created = unixTime(f.Header.TimeDateStamp)
	}
	d.Streams = []streamInfo{}
	for _, s := range f.Directory {
		if s.Type != stream.UnusedStream {
			d.Streams = append(d.Streams, streamInfo{hex(s.Type), s.Type.String(), s.Location.RVA, s.Location.DataSize})
		}
	}
	for _, t := range texts {
		if text, err := f.Text(t); err == nil && t != stream.MozSoftErrors {
			d.Texts[t.String()] = text
		}
	}
	d.readSystem(f)
	d.narrow = d.System != nil && d.System.arch.WordSize() == 4
	d.readModules(f)
	d.readThreads(f)
	d.readReason(f)
	d.readProcess(f)
	d.readMemory(f)
	d.readHandles(f)
	d.readAnnotations(f)
	d.readGoroutines(f)
	if l, err := f.Frames(); err == nil {
		d.Signature = d.text(l.Signature)
	}
	d.readRest(f)
	d.readMemoryCounters(f)
	d.readWindows(f)
	d.readMacos(f)
	d.Problems = []string{}
	for _, problem := range stream.Problems(f) {
		d.Problems = append(d.Problems, d.text(problem))
	}
	return d
}

func unixTime(seconds uint32) *time.Time {
	t := time.Unix(int64(seconds), 0).UTC()
	return &t
}

// platforms are names of operating systems.
var platforms = map[uint32]string{
	stream.MD_OS_WIN32_NT: "Windows", stream.MD_OS_UNIX: "Unix", stream.MD_OS_MAC_OS_X: "macOS", stream.MD_OS_IOS: "iOS",
	stream.MD_OS_LINUX: "Linux", stream.MD_OS_SOLARIS: "Solaris", stream.MD_OS_ANDROID: "Android",
	stream.MD_OS_PS3: "PS3", stream.MD_OS_NACL: "NaCl", stream.MD_OS_FUCHSIA: "Fuchsia",
}

// processors are names of architectures that package context does not support.
var processors = map[uint16]string{
	stream.MD_CPU_ARCHITECTURE_SPARC: "sparc", stream.MD_CPU_ARCHITECTURE_RISCV: "riscv32",
}

func (d *dumpInfo) readSystem(f *stream.File) {
	r, build, err := f.SystemInfo()
	if err != nil && r == (stream.SystemInfo{}) {
		return
	}
	s := &systemInfo{
		OS: platforms[r.PlatformID], PlatformID: hex(r.PlatformID),
		Version: fmt.Sprintf("%d.%d.%d", r.MajorVersion, r.MinorVersion, r.BuildNumber), Build: build,
		CPUID: hex(r.ProcessorArchitecture), CPULevel: r.ProcessorLevel, CPURevision: hex(r.ProcessorRevision),
		CPUBytes: fmt.Sprintf("%x", r.CPU), CPUs: r.NumberOfProcessors,
		arch: context.ArchOfProcessor(r.ProcessorArchitecture),
	}
	if s.OS == "" {
		s.OS = fmt.Sprintf("system %#x", r.PlatformID)
	}
	s.CPU = s.arch.String()
	if s.arch == context.ArchUnknown {
		if s.CPU = processors[r.ProcessorArchitecture]; s.CPU == "" {
			s.CPU = fmt.Sprintf("processor %#x", r.ProcessorArchitecture)
		}
	}
	switch s.arch {
	case context.X86, context.AMD64:
		var cpu stream.X86CPU
		cpu.Get(r.CPU[:], f.Order)
		// Windows on amd64 stores other data in these bytes.
		if vendor := strings.TrimRight(string(cpu.VendorID[:]), "\x00"); vendor != "" && vendor == printable(vendor) {
			s.CPUVendor = vendor
		}
	case context.ARM, context.ARM64:
		var cpu stream.ARMCPU
		cpu.Get(r.CPU[:], f.Order)
		if cpu.CPUID != 0 {
			s.CPUVendor = fmt.Sprintf("implementer %#x part %#x", cpu.CPUID>>24, cpu.CPUID>>4&0xfff)
		}
	}
	s.CPUName = strings.Join(strings.Fields(field(d.Texts["LinuxCPUInfo"], ":", "model name", "Model Name", "cpu model",
		"uarch", "cpu")), " ")
	s.Distribution = strings.Trim(field(d.Texts["LinuxLSBRelease"], "=", "PRETTY_NAME", "DISTRIB_DESCRIPTION"), "\"'")
	d.System = s
}

// field returns the value of the first of keys that text has, in lines of the form KEY separator VALUE.
func field(text, separator string, keys ...string) string {
	for _, key := range keys {
		for line := range strings.Lines(text) {
			k, v, ok := strings.Cut(line, separator)
			if ok && strings.TrimSpace(k) == key {
				return strings.TrimSpace(v)
			}
		}
	}
	return ""
}

func (d *dumpInfo) readModules(f *stream.File) {
	list, _ := f.Modules()
	d.Modules = make([]moduleInfo, len(list))
	var platform uint32
	if d.System != nil {
		platform = uint32(d.System.PlatformID)
	}
	for i := range list {
		m := &list[i]
		d.Modules[i] = moduleInfo{Base: d.hex(m.BaseOfImage), Size: m.SizeOfImage, Name: d.text(m.Name),
			Version: moduleVersion(&m.VersionInfo, platform), DebugID: m.DebugID, CodeID: m.CodeID, BuildID: m.BuildID,
			DebugFile: d.text(debugFile(f, m.CodeView)), Timestamp: hex(m.TimeDateStamp), Checksum: hex(m.CheckSum)}
		d.byBase = append(d.byBase, &d.Modules[i])
	}
	slices.SortStableFunc(d.byBase, func(a, b *moduleInfo) int {
		switch {
		case a.Base < b.Base:
			return -1
		case a.Base > b.Base:
			return 1
		}
		return 0
	})
	unloaded, _ := f.UnloadedModules()
	d.Unloaded = make([]unloadedModule, len(unloaded))
	for i := range unloaded {
		m := &unloaded[i]
		d.Unloaded[i] = unloadedModule{d.hex(m.BaseOfImage), m.SizeOfImage, d.text(m.Name), hex(m.TimeDateStamp), hex(m.CheckSum)}
	}
}

// moduleVersion returns the version of a module, or "" if there is none. Writers on each platform fill the record
// differently.
func moduleVersion(v *stream.FixedFileInfo, platform uint32) string {
	if v.Signature != stream.VS_FFI_SIGNATURE {
		return ""
	}
	var n []uint32
	ms, ls := v.FileVersionMS, v.FileVersionLS
	switch {
	case platform == stream.MD_OS_LINUX || platform == stream.MD_OS_ANDROID:
		n = []uint32{ms, ls, v.ProductVersionMS, v.ProductVersionLS}
	case platform != stream.MD_OS_WIN32_NT && ms>>16 == 0: // Breakpad on macOS stores the whole first number in MS
		n = []uint32{ms, ls >> 16, ls & 0xffff}
	default:
		n = []uint32{ms >> 16, ms & 0xffff, ls >> 16, ls & 0xffff}
	}
	last := len(n)
	for platform != stream.MD_OS_WIN32_NT && last > 1 && n[last-1] == 0 {
		last--
	}
	parts := make([]string, last)
	any := false
	for i := range parts {
		parts[i] = strconv.FormatUint(uint64(n[i]), 10)
		any = any || n[i] != 0
	}
	if !any {
		return ""
	}
	return strings.Join(parts, ".")
}

// debugFile returns the path of the PDB file in a CodeView record.
func debugFile(f *stream.File, codeView []byte) string {
	if len(codeView) < 4 {
		return ""
	}
	skip := 0
	switch f.Order.Uint32(codeView) {
	case stream.CVPDB70:
		skip = 24
	case stream.CVPDB20:
		skip = 16
	default:
		return ""
	}
	if len(codeView) < skip {
		return ""
	}
	name, _, _ := strings.Cut(string(codeView[skip:]), "\x00")
	return name
}

// at returns the address with the module that contains it.
func (d *dumpInfo) at(address uint64) *place {
	address = uint64(d.hex(address))
	p := &place{Address: hex(address)}
	i := sort.Search(len(d.byBase), func(i int) bool { return uint64(d.byBase[i].Base) > address }) - 1
	if i >= 0 && address-uint64(d.byBase[i].Base) < uint64(d.byBase[i].Size) {
		p.Module, p.Offset = d.text(d.byBase[i].Name), hex(address)-d.byBase[i].Base
	}
	return p
}

// hex returns an address of the process. Writers on Windows sign-extend 32-bit addresses; hex truncates those.
func (d *dumpInfo) hex(address uint64) hex {
	if d.narrow {
		address &= 0xffffffff
	}
	return hex(address)
}

// memory reads up to len(b) bytes of the process's memory and returns how many bytes the dump has.
func (d *dumpInfo) memory(f *stream.File, address uint64, b []byte) int {
	n, _ := f.ReadMemory(address, b)
	if extended := uint64(int64(int32(address))); n == 0 && d.narrow && extended != address {
		n, _ = f.ReadMemory(extended, b)
	}
	return n
}

// cpu decodes a CPU context. It also returns the context's record, and a note if the file has less than the
// architecture's record; the result then has only the registers in the available bytes.
func (d *dumpInfo) cpu(f *stream.File, loc stream.Location) (cpu *context.CPU, rec []byte, note string) {
	if d.System == nil || loc.DataSize == 0 {
		return nil, nil, ""
	}
	// No record is nearly as long; the XSAVE area of Windows follows the record.
	const most = 16 << 10
	loc.DataSize = min(loc.DataSize, most)
	rec, err := f.Context(loc)
	if err != nil {
		return nil, nil, ""
	}
	cpu, err = context.Decode(d.System.arch, rec, f.Order)
	if err == nil {
		if known := cpu.Known(); len(known) == 0 { // a placeholder record for an unknown context
			return nil, nil, ""
		} else if len(known) < len(cpu.Registers) {
			cpu.Registers = known
		}
		return cpu, rec, ""
	}
	if len(rec) >= context.MaxContextSize {
		return nil, nil, ""
	}
	// A register whose value depends on the padding is not in the record.
	zeros := append(rec[:len(rec):len(rec)], make([]byte, context.MaxContextSize-len(rec))...)
	ones := append(rec[:len(rec):len(rec)], bytes.Repeat([]byte{0xff}, context.MaxContextSize-len(rec))...)
	cpu, err = context.Decode(d.System.arch, zeros, f.Order)
	other, err2 := context.Decode(d.System.arch, ones, f.Order)
	if err != nil || err2 != nil || cpu.Flags != other.Flags || cpu.PC != other.PC {
		return nil, nil, ""
	}
	var whole registers
	for i := range cpu.Registers {
		if cpu.Registers[i] == other.Registers[i] {
			whole = append(whole, cpu.Registers[i])
		}
	}
	if cpu.SP != other.SP {
		cpu.SP = 0
	}
	cpu.Registers = whole
	return cpu, zeros, fmt.Sprintf("the context has %d bytes, less than the record of %v", len(rec), d.System.arch)
}

func (d *dumpInfo) readThreads(f *stream.File) {
	list, _ := f.Threads()
	names, _ := f.ThreadNames()
	infos, _ := f.ThreadInfo()
	byID := make(map[uint32]*stream.ThreadInfo, len(infos))
	for i := range infos {
		byID[infos[i].ThreadID] = &infos[i]
	}
	d.Threads = make([]threadInfo, len(list))
	for i := range list {
		r, t := &list[i], &d.Threads[i]
		*t = threadInfo{ID: r.ThreadID, Name: d.text(names[r.ThreadID]), StackStart: d.hex(r.Stack.Start),
			StackSize: r.Stack.Memory.DataSize, Suspended: r.SuspendCount, Class: r.PriorityClass, Priority: r.Priority,
			TEB: d.hex(r.Teb)}
		t.cpu, _, t.ContextNote = d.cpu(f, r.Context)
		if t.cpu != nil {
			t.IP, t.SP, t.Registers = d.at(t.cpu.PC), d.hex(t.cpu.SP), t.cpu.Registers
		}
		if info := byID[t.ID]; info != nil {
			t.UserTime, t.KernelTime = info.UserTime, info.KernelTime
			t.ExitStatus, t.Affinity, t.InfoFlags = info.ExitStatus, hex(info.Affinity), hex(info.DumpFlags)
			if info.StartAddress != 0 {
				t.StartAddress = d.at(info.StartAddress)
			}
		}
		t.LastError = d.lastError(f, r.Teb)
	}
}

// thread returns the thread with an id.
func (d *dumpInfo) thread(id uint32) *threadInfo {
	for i := range d.Threads {
		if d.Threads[i].ID == id {
			return &d.Threads[i]
		}
	}
	return nil
}

func (d *dumpInfo) readReason(f *stream.File) {
	if b, err := f.BreakpadInfo(); err == nil {
		d.Asked = &breakpadInfo{}
		if b.Validity&stream.MD_BREAKPAD_INFO_VALID_DUMP_THREAD_ID != 0 {
			d.Asked.DumpThread = &b.DumpThreadID
		}
		if b.Validity&stream.MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID != 0 {
			d.Asked.RequestingThread = &b.RequestingThreadID
		}
	}
	e, err := f.Exception()
	if err != nil {
		return
	}
	var platform uint32
	var arch context.Arch
	if d.System != nil {
		platform, arch = uint32(d.System.PlatformID), d.System.arch
	}
	if d.narrow {
		e.Address &= 0xffffffff
		e.Record &= 0xffffffff
		for i := range e.Information {
			e.Information[i] &= 0xffffffff
		}
	}
	d.Reason = reasonOf(&e, platform, arch)
	var rec []byte
	d.Reason.cpu, rec, d.Reason.ContextNote = d.cpu(f, e.Context)
	if t := d.thread(e.ThreadID); d.Reason.cpu == nil && t != nil {
		d.Reason.cpu, d.Reason.ContextNote = t.cpu, t.ContextNote
		if threads, err := f.Threads(); err == nil {
			for i := range threads {
				if threads[i].ThreadID == e.ThreadID {
					_, rec, _ = d.cpu(f, threads[i].Context)
				}
			}
		}
	}
	d.readInstruction(f, rec)
	if d.Reason.cpu != nil {
		d.Reason.IP, d.Reason.Registers = d.at(d.Reason.cpu.PC), d.Reason.cpu.Registers
	}
}

// blamed returns the id of the thread that the dump is about.
func (d *dumpInfo) blamed() (id uint32, ok bool) {
	switch {
	case d.Reason != nil:
		return d.Reason.Thread, true
	case d.Asked != nil && d.Asked.RequestingThread != nil:
		return *d.Asked.RequestingThread, true
	}
	return 0, false
}

func (d *dumpInfo) readProcess(f *stream.File) {
	p := &d.Process
	misc, err := f.MiscInfo()
	if err == nil {
		if misc.Flags1&stream.MINIDUMP_MISC1_PROCESS_ID != 0 {
			p.PID = misc.ProcessID
		}
		if misc.Flags1&stream.MINIDUMP_MISC1_PROCESS_TIMES != 0 {
			p.UserTime, p.KernelTime = &misc.ProcessUserTime, &misc.ProcessKernelTime
			if misc.ProcessCreateTime != 0 {
				p.Started = unixTime(misc.ProcessCreateTime)
			}
		}
		d.Misc = &miscInfo{misc.SizeOfInfo, hex(misc.Flags1), misc.ProcessorMaxMHz, misc.ProcessorCurrentMHz,
			misc.ProcessorMHzLimit, hex(misc.ProcessIntegrityLevel), hex(misc.ProcessExecuteFlags),
			misc.ProtectedProcess, misc.TimeZoneStandardName, misc.TimeZoneBias, misc.BuildString, misc.DbgBldStr,
			hex(misc.ProcessCookie), hex(misc.XStateData.EnabledFeatures)}
	}
	// Breakpad writes no MiscInfo on Linux, and its status stream is of the crashed thread, so Pid is the thread's id.
	if p.PID == 0 {
		pid, _ := strconv.ParseUint(field(d.Texts["LinuxProcStatus"], ":", "Tgid", "Pid"), 10, 32)
		p.PID = uint32(pid)
	}
	if line := strings.TrimRight(d.Texts["LinuxCmdLine"], "\x00"); line != "" {
		p.CommandLine = strings.Split(line, "\x00")
	}
	switch main := d.thread(p.PID); {
	case len(d.Modules) > 0 && d.Modules[0].Name != "":
		p.Name = baseName(d.Modules[0].Name)
	case main != nil && main.Name != "":
		p.Name = main.Name
	default:
		p.Name = field(d.Texts["LinuxProcStatus"], ":", "Name")
	}
}

func (d *dumpInfo) readMemory(f *stream.File) {
	ranges, _ := f.MemoryRanges()
	d.Memory = make([]memoryRange, len(ranges))
	for i, r := range ranges {
		d.Memory[i] = memoryRange{d.hex(r.Addr), r.Size, r.Offset}
	}
	infos, _ := f.MemoryInfo()
	d.Mappings = make([]mapping, len(infos))
	for i, r := range infos {
		d.Mappings[i] = mapping{d.hex(r.BaseAddress), hex(r.RegionSize), d.hex(r.AllocationBase), hex(r.AllocationProtect),
			hex(r.State), hex(r.Protect), hex(r.Type), accessText(r.State, r.Protect)}
	}
}

// accessText returns how a mapping may be accessed.
func accessText(state, protect uint32) string {
	switch state {
	case stream.MEM_FREE:
		return "free"
	case stream.MEM_RESERVE:
		return "reserved"
	}
	t := "---"
	switch protect & 0xff {
	case stream.PAGE_READONLY:
		t = "r--"
	case stream.PAGE_READWRITE, stream.PAGE_WRITECOPY:
		t = "rw-"
	case stream.PAGE_EXECUTE:
		t = "--x"
	case stream.PAGE_EXECUTE_READ:
		t = "r-x"
	case stream.PAGE_EXECUTE_READWRITE, stream.PAGE_EXECUTE_WRITECOPY:
		t = "rwx"
	}
	if protect&stream.PAGE_GUARD != 0 {
		t += " guard"
	}
	return t
}

func (d *dumpInfo) readHandles(f *stream.File) {
	list, _ := f.Handles()
	d.Handles = make([]handle, len(list))
	budget := int64(min(f.Size(), 1<<24)) // lists of many handles can share elements
	for i := range list {
		h := &list[i]
		d.Handles[i] = handle{h.Handle, d.text(h.TypeName), d.text(h.ObjectName), hex(h.Attributes), hex(h.GrantedAccess),
			h.HandleCount, h.PointerCount, nil}
		if h.ObjectInfoRVA != 0 && budget > 0 {
			objects, _ := f.HandleObjects(h.ObjectInfoRVA)
			for k := range objects {
				o := &objects[k]
				budget -= int64(o.SizeOfInfo)
				d.Handles[i].Objects = append(d.Handles[i].Objects, object{o.InfoType, fmt.Sprintf("%x", o.Data)})
			}
			budget -= stream.HandleObjectInformationSize
		}
	}
}

func (d *dumpInfo) pairs(list []stream.Annotation) []annotation {
	out := make([]annotation, len(list))
	for i, a := range list {
		out[i] = annotation{d.text(a.Key), d.text(a.Value)}
	}
	return out
}

func (d *dumpInfo) readAnnotations(f *stream.File) {
	c, err := f.CrashpadInfo()
	d.Annotations = d.pairs(c.Annotations)
	if err != nil && c.Version == 0 {
		return
	}
	if c.ReportID != (stream.GUID{}) {
		d.ReportID = c.ReportID.String()
	}
	if c.ClientID != (stream.GUID{}) {
		d.ClientID = c.ClientID.String()
	}
	for i := range c.Modules {
		m := &c.Modules[i]
		a := moduleAnnotations{Module: fmt.Sprintf("module %d", m.ModuleIndex), Simple: d.pairs(m.Simple)}
		if uint64(m.ModuleIndex) < uint64(len(d.Modules)) {
			a.Module = d.text(d.Modules[m.ModuleIndex].Name)
		}
		for _, text := range m.List {
			a.List = append(a.List, d.text(text))
		}
		for _, o := range m.Objects {
			value := string(o.Value)
			if o.Type != stream.AnnotationTypeString {
				value = fmt.Sprintf("%x", o.Value)
			}
			a.Objects = append(a.Objects, annotationObject{d.text(o.Name), o.Type, d.text(value)})
		}
		d.ModuleAnnotations = append(d.ModuleAnnotations, a)
	}
}

func (d *dumpInfo) readRest(f *stream.File) {
	sets, _ := f.RegisterSets()
	for _, s := range sets {
		d.RegisterSets = append(d.RegisterSets, registerSet{s.ThreadID, hex(s.NoteType), s.Data.RVA, s.Data.DataSize})
	}
	if dso, err := f.DSODebug(); !errors.Is(err, stream.ErrNoStream) && (err == nil || len(dso.LinkMaps) > 0) {
		d.DSO = &dsoInfo{dso.Version, hex(dso.Brk), hex(dso.LdBase), hex(dso.Dynamic), make([]linkMap, len(dso.LinkMaps))}
		for i := range dso.LinkMaps {
			l := &dso.LinkMaps[i]
			d.DSO.LinkMaps[i] = linkMap{hex(l.Addr), hex(l.Ld), d.text(l.Name)}
		}
	}
	d.readAuxv(f)
	if soft, err := f.SoftErrors(); err == nil {
		soft = strings.ToValidUTF8(soft, "\ufffd") // package json accepts and copies invalid UTF-8
		d.soft = soft
		// Each level indents every line further.
		const deepest = 16
		if d.SoftErrors = json.RawMessage(soft); !json.Valid(d.SoftErrors) || nesting(soft) > deepest {
			d.SoftErrors, _ = json.Marshal(soft)
		}
	}
}

// nesting returns how deep the arrays and objects of a JSON text are nested.
func nesting(text string) (most int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			most = max(most, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return most
}

// readAuxv reads the auxiliary vector: pairs of words up to a pair of type 0.
func (d *dumpInfo) readAuxv(f *stream.File) {
	b, err := f.Stream(stream.LinuxAuxv)
	if err != nil || d.System == nil {
		return
	}
	word := d.System.arch.WordSize()
	if word == 0 {
		return
	}
	for ; len(b) >= 2*word; b = b[2*word:] {
		var e auxEntry
		if word == 8 {
			e = auxEntry{f.Order.Uint64(b), hex(f.Order.Uint64(b[8:]))}
		} else {
			e = auxEntry{uint64(f.Order.Uint32(b)), hex(f.Order.Uint32(b[4:]))}
		}
		if e.Type == 0 {
			return
		}
		d.Auxv = append(d.Auxv, e)
	}
}

// baseName returns the last part of a Unix or Windows path.
func baseName(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i >= 0 && i < len(path)-1 {
		return path[i+1:]
	}
	return path
}
