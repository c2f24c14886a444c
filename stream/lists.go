package stream

import (
	"bytes"
	"errors"

	"minidump/internal/errtext"
)

// Threads returns the threads of the ThreadListStream.
func (f *File) Threads() ([]Thread, error) {
	b, n, err := f.list(ThreadListStream, ThreadSize)
	list := make([]Thread, n)
	for i := range list {
		list[i].Get(b[i*ThreadSize:], f.Order)
	}
	return list, err
}

// ThreadNames returns the names of the ThreadNamesStream by thread id.
func (f *File) ThreadNames() (map[uint32]string, error) {
	b, n, err := f.list(ThreadNamesStream, ThreadNameSize)
	p := f.pieces(err)
	names := make(map[uint32]string, n)
	for i := range n {
		var r ThreadName
		r.Get(b[i*ThreadNameSize:], f.Order)
		names[r.ThreadID] = p.utf16(r.NameRVA)
	}
	return names, p.err
}

// ThreadInfo returns the entries of the ThreadInfoListStream.
func (f *File) ThreadInfo() ([]ThreadInfo, error) {
	b, err := f.fixed(ThreadInfoListStream, ThreadInfoListSize)
	if err != nil {
		return nil, err
	}
	var h ThreadInfoList
	h.Get(b, f.Order)
	b, n, err := f.extensible(ThreadInfoListStream, b, h.SizeOfHeader, h.SizeOfEntry, ThreadInfoListSize, ThreadInfoSize,
		uint64(h.NumberOfEntries))
	list := make([]ThreadInfo, n)
	for i := range list {
		list[i].Get(b[i*int(h.SizeOfEntry):], f.Order)
	}
	return list, err
}

// ModuleInfo is a Module with the data that it points to.
type ModuleInfo struct {
	Module
	Name     string // path
	CodeView []byte // the CodeView record; nil if there is none
	BuildID  string // GNU build id in hexadecimal; "" if it has none
	DebugID  string // see DebugID
	CodeID   string // see CodeID
}

// Modules returns the modules of the ModuleListStream.
func (f *File) Modules() ([]ModuleInfo, error) {
	b, n, err := f.list(ModuleListStream, ModuleSize)
	p := f.pieces(err)
	var platform uint32
	if system, _, err := f.SystemInfo(); err == nil {
		platform = system.PlatformID
	}
	list := make([]ModuleInfo, n)
	for i := range list {
		m := &list[i]
		m.Get(b[i*ModuleSize:], f.Order)
		m.Name = p.utf16(uint64(m.NameRVA))
		if m.CvRecord.DataSize != 0 {
			m.CodeView = p.bytes(uint64(m.CvRecord.RVA), uint64(m.CvRecord.DataSize))
		}
		if id := BuildID(m.CodeView, f.Order); id != nil {
			m.BuildID = hexText(id, lower)
		}
		m.DebugID = DebugID(m.CodeView, f.Order)
		m.CodeID = CodeID(&m.Module, m.CodeView, platform, f.Order)
	}
	return list, p.err
}

// UnloadedModuleInfo is an UnloadedModule with its name.
type UnloadedModuleInfo struct {
	UnloadedModule
	Name string
}

// UnloadedModules returns the modules of the UnloadedModuleListStream.
func (f *File) UnloadedModules() ([]UnloadedModuleInfo, error) {
	b, err := f.fixed(UnloadedModuleListStream, UnloadedModuleListSize)
	if err != nil {
		return nil, err
	}
	var h UnloadedModuleList
	h.Get(b, f.Order)
	b, n, err := f.extensible(UnloadedModuleListStream, b, h.SizeOfHeader, h.SizeOfEntry, UnloadedModuleListSize,
		UnloadedModuleSize, uint64(h.NumberOfEntries))
	p := f.pieces(err)
	list := make([]UnloadedModuleInfo, n)
	for i := range list {
		list[i].Get(b[i*int(h.SizeOfEntry):], f.Order)
		list[i].Name = p.utf16(uint64(list[i].NameRVA))
	}
	return list, p.err
}

// Exception returns the ExceptionStream.
func (f *File) Exception() (Exception, error) {
	var r Exception
	b, err := f.fixed(ExceptionStream, ExceptionSize)
	if err == nil {
		r.Get(b, f.Order)
	}
	return r, err
}

// SystemInfo returns the SystemInfoStream and the string that its CSDVersionRVA points to.
func (f *File) SystemInfo() (r SystemInfo, csdVersion string, err error) {
	b, err := f.fixed(SystemInfoStream, SystemInfoSize)
	if err != nil {
		return r, "", err
	}
	r.Get(b, f.Order)
	csdVersion, err = f.String(uint64(r.CSDVersionRVA))
	return r, csdVersion, err
}

// MiscInfo returns the MiscInfoStream in any of its forms: see SizeOfInfo.
func (f *File) MiscInfo() (MiscInfo5, error) {
	var r MiscInfo5
	b, err := f.fixed(MiscInfoStream, MiscInfoSize)
	if err == nil {
		r.Get(b, f.Order)
	}
	return r, err
}

// BreakpadInfo returns the BreakpadInfoStream.
func (f *File) BreakpadInfo() (BreakpadInfo, error) {
	var r BreakpadInfo
	b, err := f.fixed(BreakpadInfoStream, BreakpadInfoSize)
	if err == nil {
		r.Get(b, f.Order)
	}
	return r, err
}

// MemoryInfo returns the entries of the MemoryInfoListStream.
func (f *File) MemoryInfo() ([]MemoryInfo, error) {
	b, err := f.fixed(MemoryInfoListStream, MemoryInfoListSize)
	if err != nil {
		return nil, err
	}
	var h MemoryInfoList
	h.Get(b, f.Order)
	b, n, err := f.extensible(MemoryInfoListStream, b, h.SizeOfHeader, h.SizeOfEntry, MemoryInfoListSize, MemoryInfoSize,
		h.NumberOfEntries)
	list := make([]MemoryInfo, n)
	for i := range list {
		list[i].Get(b[i*int(h.SizeOfEntry):], f.Order)
	}
	return list, err
}

// HandleInfo is a handle with its names. ObjectInfoRVA is 0 if the file has the shorter HandleDescriptor.
type HandleInfo struct {
	HandleDescriptor2
	TypeName   string
	ObjectName string
}

// Handles returns the entries of the HandleDataStream.
func (f *File) Handles() ([]HandleInfo, error) {
	b, err := f.fixed(HandleDataStream, HandleDataHeaderSize)
	if err != nil {
		return nil, err
	}
	var h HandleDataHeader
	h.Get(b, f.Order)
	b, n, err := f.extensible(HandleDataStream, b, h.SizeOfHeader, h.SizeOfDescriptor, HandleDataHeaderSize,
		HandleDescriptorSize, uint64(h.NumberOfDescriptors))
	p := f.pieces(err)
	list := make([]HandleInfo, n)
	for i := range list {
		r := &list[i]
		entry := b[i*int(h.SizeOfDescriptor):]
		if h.SizeOfDescriptor >= HandleDescriptor2Size {
			r.HandleDescriptor2.Get(entry, f.Order)
		} else {
			r.HandleDescriptor.Get(entry, f.Order)
		}
		r.TypeName = p.utf16(uint64(r.TypeNameRVA))
		r.ObjectName = p.utf16(uint64(r.ObjectNameRVA))
	}
	return list, p.err
}

// HandleObject is a HandleObjectInformation with the data that follows it.
type HandleObject struct {
	HandleObjectInformation
	Data []byte
}

// HandleObjects returns the list that starts at rva, which is HandleInfo.ObjectInfoRVA; an empty list if rva is 0.
func (f *File) HandleObjects(rva uint32) ([]HandleObject, error) {
	p := f.pieces(nil)
	var list []HandleObject
	// The sum of sizes ends a cyclic list: it must not exceed the size of the file.
	for rva != 0 {
		var r HandleObject
		b, err := f.read(uint64(rva), HandleObjectInformationSize)
		if err != nil {
			return list, errtext.Wrap(err, "object information of a handle")
		}
		r.Get(b, f.Order)
		if r.SizeOfInfo < HandleObjectInformationSize {
			return list, errtext.Wrap(ErrFormat, "object information of ", r.SizeOfInfo, " bytes at ", errtext.Hex(rva))
		}
		if b = p.bytes(uint64(rva), uint64(r.SizeOfInfo)); b == nil {
			return list, p.err
		}
		r.Data = b[HandleObjectInformationSize:]
		list = append(list, r)
		rva = r.NextInfoRVA
	}
	return list, nil
}

// HandleOperations returns the entries of the HandleOperationList stream.
func (f *File) HandleOperations() ([]HandleOperation, error) {
	b, err := f.fixed(HandleOperationList, HandleOperationListHeadSize)
	if err != nil {
		return nil, err
	}
	var h HandleOperationListHead
	h.Get(b, f.Order)
	b, n, err := f.extensible(HandleOperationList, b, h.SizeOfHeader, h.SizeOfEntry, HandleOperationListHeadSize,
		HandleOperationSize, uint64(h.NumberOfEntries))
	list := make([]HandleOperation, n)
	for i := range list {
		list[i].Get(b[i*int(h.SizeOfEntry):], f.Order)
	}
	return list, err
}

// LinkMapInfo is a link map, with its name, of a 64-bit process, or of a 32-bit one with its fields widened.
type LinkMapInfo struct {
	LinkMap64
	Name string
}

// DSODebugInfo is the LinuxDSODebug stream of a 64-bit process, or of a 32-bit one with its fields widened.
type DSODebugInfo struct {
	DSODebug64
	LinkMaps       []LinkMapInfo
	DynamicSection []byte // of the program, as it was in memory
}

// DSODebug returns the LinuxDSODebug stream. The stream does not say whether it has 32-bit addresses; the architecture in
// SystemInfo does. In a 64-bit dump the records have padding, as Breakpad's header defines them, or are packed, as some writers
// write them; packedDSO decides which.
func (f *File) DSODebug() (DSODebugInfo, error) {
	if system, _, err := f.SystemInfo(); err == nil && arch32(system.ProcessorArchitecture) {
		return f.dsoDebug32()
	}
	var r DSODebugInfo
	b, err := f.fixed(LinuxDSODebug, packedDSODebug64Size)
	if err != nil {
		return r, err
	}
	packed := f.packedDSO(b)
	if packed {
		r.getPacked(b, f.Order)
		r.DynamicSection = b[packedDSODebug64Size:]
	} else {
		r.Get(b, f.Order)
		r.DynamicSection = b[DSODebug64Size:]
	}
	r.LinkMaps, err = f.linkMaps64(r.MapRVA, r.DSOCount, packed)
	return r, err
}

// packedDSO reports whether the records of the LinuxDSODebug stream b, of a 64-bit dump, have no padding. It reads the link maps
// in both forms and takes the form with more names that lie in the file. The first name has the same place in both forms, so with
// fewer than two link maps the size of the stream decides: an Elf64_Dyn has 16 bytes, and only one form leaves a whole number of
// them.
func (f *File) packedDSO(b []byte) bool {
	if len(b) < DSODebug64Size {
		return true
	}
	rva, count := f.Order.Uint32(b[4:]), f.Order.Uint32(b[8:])
	padded, _ := f.linkMaps64(rva, count, false)
	packed, _ := f.linkMaps64(rva, count, true)
	if n, m := f.namedMaps(packed), f.namedMaps(padded); n != m {
		return n > m
	}
	const dynSize = 16
	return len(b)%dynSize == packedDSODebug64Size%dynSize
}

// linkMaps64 reads count link maps at rva; packed ones have no padding.
func (f *File) linkMaps64(rva, count uint32, packed bool) ([]LinkMapInfo, error) {
	if rva == NoLinkMaps || count == 0 {
		return nil, nil
	}
	size, get := LinkMap64Size, (*LinkMap64).Get
	if packed {
		size, get = packedLinkMap64Size, (*LinkMap64).getPacked
	}
	p := f.pieces(nil)
	b := p.bytes(uint64(rva), uint64(count)*uint64(size))
	list := make([]LinkMapInfo, len(b)/size)
	for i := range list {
		get(&list[i].LinkMap64, b[i*size:], f.Order)
		list[i].Name = p.utf16(uint64(list[i].NameRVA))
	}
	return list, p.err
}

// namedMaps counts the link maps whose name lies in the file and has a plausible length: even and not longer than the file.
func (f *File) namedMaps(list []LinkMapInfo) int {
	n := 0
	for i := range list {
		b, err := f.read(uint64(list[i].NameRVA), 4)
		if err != nil || list[i].NameRVA == 0 {
			continue
		}
		if length := uint64(f.Order.Uint32(b)); length%2 == 0 && f.inside(uint64(list[i].NameRVA)+4, length) {
			n++
		}
	}
	return n
}

// dsoDebug32 is DSODebug of a 32-bit process.
func (f *File) dsoDebug32() (DSODebugInfo, error) {
	var r DSODebugInfo
	b, err := f.fixed(LinuxDSODebug, DSODebug32Size)
	if err != nil {
		return r, err
	}
	var d DSODebug32
	d.Get(b, f.Order)
	r.DSODebug64 = DSODebug64{d.Version, d.MapRVA, d.DSOCount, uint64(d.Brk), uint64(d.LdBase), uint64(d.Dynamic)}
	r.DynamicSection = b[DSODebug32Size:]
	if r.MapRVA == NoLinkMaps || r.DSOCount == 0 {
		return r, nil
	}
	p := f.pieces(nil)
	b = p.bytes(uint64(r.MapRVA), uint64(r.DSOCount)*LinkMap32Size)
	r.LinkMaps = make([]LinkMapInfo, len(b)/LinkMap32Size)
	for i := range r.LinkMaps {
		var l LinkMap32
		l.Get(b[i*LinkMap32Size:], f.Order)
		r.LinkMaps[i].LinkMap64 = LinkMap64{uint64(l.Addr), l.NameRVA, uint64(l.Ld)}
		r.LinkMaps[i].Name = p.utf16(uint64(l.NameRVA))
	}
	return r, p.err
}

// arch32 reports whether a processor of this architecture has 32-bit addresses.
func arch32(architecture uint16) bool {
	switch architecture {
	case MD_CPU_ARCHITECTURE_X86, MD_CPU_ARCHITECTURE_X86_WIN64, MD_CPU_ARCHITECTURE_ARM, MD_CPU_ARCHITECTURE_MIPS,
		MD_CPU_ARCHITECTURE_PPC, MD_CPU_ARCHITECTURE_SPARC, MD_CPU_ARCHITECTURE_RISCV:
		return true
	}
	return false
}

// Annotation is a key and its value.
type Annotation struct{ Key, Value string }

// AnnotationObjectInfo is an AnnotationObject with the data that it points to.
type AnnotationObjectInfo struct {
	Name  string
	Type  uint16
	Value []byte
}

// ModuleAnnotations are Crashpad's annotations of a module: a ModuleCrashpadInfo with the data that it points to.
type ModuleAnnotations struct {
	ModuleIndex uint32 // in the result of Modules
	Version     uint32
	List        []string
	Simple      []Annotation
	Objects     []AnnotationObjectInfo
}

// CrashpadData is the CrashpadInfoStream with the data that it points to.
type CrashpadData struct {
	CrashpadInfo
	Annotations []Annotation // of the process
	Modules     []ModuleAnnotations
}

// CrashpadInfo returns the CrashpadInfoStream.
func (f *File) CrashpadInfo() (CrashpadData, error) {
	var r CrashpadData
	b, err := f.fixed(CrashpadInfoStream, CrashpadInfoSize)
	if err != nil {
		return r, err
	}
	r.Get(b, f.Order)
	p := f.pieces(nil)
	r.Annotations = p.dictionary(r.SimpleAnnotations)
	b, n := p.array(r.ModuleList, ModuleCrashpadInfoLinkSize)
	for i := range n {
		var link ModuleCrashpadInfoLink
		link.Get(b[i*ModuleCrashpadInfoLinkSize:], f.Order)
		if link.Location.DataSize < ModuleCrashpadInfoMinSize {
			p.fail(errtext.Wrap(ErrTruncated, "annotations of module ", link.ModuleIndex))
			continue
		}
		record := p.bytes(uint64(link.Location.RVA), uint64(link.Location.DataSize))
		if record == nil {
			continue
		}
		r.Modules = append(r.Modules, p.moduleAnnotations(link.ModuleIndex, record))
	}
	return r, p.err
}

// moduleAnnotations reads the data that a ModuleCrashpadInfo points to.
func (p *pieces) moduleAnnotations(index uint32, record []byte) ModuleAnnotations {
	var info ModuleCrashpadInfo
	info.Get(record, p.f.Order)
	r := ModuleAnnotations{ModuleIndex: index, Version: info.Version, Simple: p.dictionary(info.SimpleAnnotations)}
	b, n := p.array(info.ListAnnotations, 4)
	for i := range n {
		r.List = append(r.List, p.utf8(uint64(p.f.Order.Uint32(b[4*i:]))))
	}
	b, n = p.array(info.AnnotationObjects, AnnotationObjectSize)
	for i := range n {
		var object AnnotationObject
		object.Get(b[i*AnnotationObjectSize:], p.f.Order)
		r.Objects = append(r.Objects, AnnotationObjectInfo{
			Name:  p.utf8(uint64(object.NameRVA)),
			Type:  object.Type,
			Value: p.counted(uint64(object.ValueRVA), MaxString),
		})
	}
	return r
}

// dictionary reads the MinidumpSimpleStringDictionary at loc.
func (p *pieces) dictionary(loc Location) []Annotation {
	b, n := p.array(loc, SimpleStringDictionaryEntrySize)
	list := make([]Annotation, n)
	for i := range list {
		var entry SimpleStringDictionaryEntry
		entry.Get(b[i*SimpleStringDictionaryEntrySize:], p.f.Order)
		list[i] = Annotation{p.utf8(uint64(entry.KeyRVA)), p.utf8(uint64(entry.ValueRVA))}
	}
	return list
}

// RegisterSets returns the entries of the RegisterSetsStream; Context reads the bytes of one.
func (f *File) RegisterSets() ([]RegisterSet, error) {
	b, err := f.fixed(RegisterSetsStream, RegisterSetsSize)
	if err != nil {
		return nil, err
	}
	var h RegisterSets
	h.Get(b, f.Order)
	if h.Version != RegisterSetsVersion {
		return nil, errtext.Wrap(ErrFormat, RegisterSetsStream, " has version ", h.Version)
	}
	b, n, err := fit(RegisterSetsStream, b[RegisterSetsSize:], uint64(h.Count), RegisterSetSize)
	list := make([]RegisterSet, n)
	for i := range list {
		list[i].Get(b[i*RegisterSetSize:], f.Order)
	}
	return list, err
}

// Text returns the bytes of a plain text stream, such as LinuxMaps, unchanged.
func (f *File) Text(t Type) (string, error) {
	b, err := f.Stream(t)
	return string(b), err
}

// Comment returns the text of CommentStreamW, or else the bytes of CommentStreamA, unchanged, up to the first NUL.
func (f *File) Comment() (string, error) {
	b, err := f.Stream(CommentStreamW)
	if err == nil {
		return utf16Text(beforeNUL(b), f.Order), nil
	}
	if errors.Is(err, ErrNoStream) {
		b, err = f.Stream(CommentStreamA)
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b), err
}

// SoftErrors returns the JSON text of the MozSoftErrors stream without the white space and NULs after it.
func (f *File) SoftErrors() (string, error) {
	b, err := f.Stream(MozSoftErrors)
	return string(bytes.TrimRight(b, " \t\r\n\x00")), err
}
