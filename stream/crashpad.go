package stream

import "encoding/binary"

// CrashpadInfoVersion is the value of CrashpadInfo.Version and of ModuleCrashpadInfo.Version.
const CrashpadInfoVersion = 1

// CrashpadInfoSize is the size of a CrashpadInfo in bytes.
const CrashpadInfoSize = 52

// CrashpadInfo is MinidumpCrashpadInfo as it was first defined; later Crashpads add fields after these.
//
//	 0 uint32   version
//	 4 GUID     report_id
//	20 GUID     client_id
//	36 Location simple_annotations
//	44 Location module_list
type CrashpadInfo struct {
	Version           uint32   // CrashpadInfoVersion
	ReportID          GUID     // of the crash; all 0 if it has none
	ClientID          GUID     // of the installation; all 0 if it has none
	SimpleAnnotations Location // uint32 count, SimpleStringDictionaryEntry…
	ModuleList        Location // uint32 count, ModuleCrashpadInfoLink…
}

// Put writes the CrashpadInfoSize bytes of r to b.
func (r *CrashpadInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[CrashpadInfoSize-1]
	o.PutUint32(b[0:], r.Version)
	r.ReportID.Put(b[4:], o)
	r.ClientID.Put(b[20:], o)
	r.SimpleAnnotations.Put(b[36:], o)
	r.ModuleList.Put(b[44:], o)
}

// Get reads r from the first CrashpadInfoSize bytes of b.
func (r *CrashpadInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[CrashpadInfoSize-1]
	r.Version = o.Uint32(b[0:])
	r.ReportID.Get(b[4:], o)
	r.ClientID.Get(b[20:], o)
	r.SimpleAnnotations.Get(b[36:], o)
	r.ModuleList.Get(b[44:], o)
}

// SimpleStringDictionaryEntrySize is the size of a SimpleStringDictionaryEntry in bytes.
const SimpleStringDictionaryEntrySize = 8

// SimpleStringDictionaryEntry is MinidumpSimpleStringDictionaryEntry. A uint32 count precedes the array of them.
//
//	0 uint32 key
//	4 uint32 value
type SimpleStringDictionaryEntry struct {
	KeyRVA   uint32 // of a UTF-8 string, see Encoder.UTF8String
	ValueRVA uint32 // of a UTF-8 string
}

// Put writes the SimpleStringDictionaryEntrySize bytes of r to b.
func (r *SimpleStringDictionaryEntry) Put(b []byte, o binary.ByteOrder) {
	_ = b[SimpleStringDictionaryEntrySize-1]
	o.PutUint32(b[0:], r.KeyRVA)
	o.PutUint32(b[4:], r.ValueRVA)
}

// Get reads r from the first SimpleStringDictionaryEntrySize bytes of b.
func (r *SimpleStringDictionaryEntry) Get(b []byte, o binary.ByteOrder) {
	_ = b[SimpleStringDictionaryEntrySize-1]
	r.KeyRVA = o.Uint32(b[0:])
	r.ValueRVA = o.Uint32(b[4:])
}

// ModuleCrashpadInfoLinkSize is the size of a ModuleCrashpadInfoLink in bytes.
const ModuleCrashpadInfoLinkSize = 12

// ModuleCrashpadInfoLink is MinidumpModuleCrashpadInfoLink. A uint32 count precedes the array of them.
//
//	0 uint32   minidump_module_list_index
//	4 Location location
type ModuleCrashpadInfoLink struct {
	ModuleIndex uint32   // in the ModuleListStream
	Location    Location // of a ModuleCrashpadInfo
}

// Put writes the ModuleCrashpadInfoLinkSize bytes of r to b.
func (r *ModuleCrashpadInfoLink) Put(b []byte, o binary.ByteOrder) {
	_ = b[ModuleCrashpadInfoLinkSize-1]
	o.PutUint32(b[0:], r.ModuleIndex)
	r.Location.Put(b[4:], o)
}

// Get reads r from the first ModuleCrashpadInfoLinkSize bytes of b.
func (r *ModuleCrashpadInfoLink) Get(b []byte, o binary.ByteOrder) {
	_ = b[ModuleCrashpadInfoLinkSize-1]
	r.ModuleIndex = o.Uint32(b[0:])
	r.Location.Get(b[4:], o)
}

// Sizes of a ModuleCrashpadInfo in bytes: with all fields, and without AnnotationObjects, as it was first defined.
const (
	ModuleCrashpadInfoSize    = 28
	ModuleCrashpadInfoMinSize = 20
)

// ModuleCrashpadInfo is MinidumpModuleCrashpadInfo.
//
//	 0 uint32   version
//	 4 Location list_annotations
//	12 Location simple_annotations
//	20 Location annotation_objects
type ModuleCrashpadInfo struct {
	Version           uint32   // CrashpadInfoVersion
	ListAnnotations   Location // uint32 count, uint32 RVA of a UTF-8 string…
	SimpleAnnotations Location // uint32 count, SimpleStringDictionaryEntry…
	AnnotationObjects Location // uint32 count, AnnotationObject…
}

// Put writes the ModuleCrashpadInfoSize bytes of r to b.
func (r *ModuleCrashpadInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[ModuleCrashpadInfoSize-1]
	o.PutUint32(b[0:], r.Version)
	r.ListAnnotations.Put(b[4:], o)
	r.SimpleAnnotations.Put(b[12:], o)
	r.AnnotationObjects.Put(b[20:], o)
}

// Get reads r from b, which has at least ModuleCrashpadInfoMinSize bytes; fields that are not entirely in b are 0.
func (r *ModuleCrashpadInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[ModuleCrashpadInfoMinSize-1]
	r.Version = o.Uint32(b[0:])
	r.ListAnnotations.Get(b[4:], o)
	r.SimpleAnnotations.Get(b[12:], o)
	r.AnnotationObjects = Location{}
	if len(b) >= ModuleCrashpadInfoSize {
		r.AnnotationObjects.Get(b[20:], o)
	}
}

// AnnotationObjectSize is the size of an AnnotationObject in bytes.
const AnnotationObjectSize = 12

// AnnotationTypeString is the AnnotationObject.Type of UTF-8 text (crashpad::Annotation::Type::kString).
const AnnotationTypeString = 1

// AnnotationObject is MinidumpAnnotation.
//
//	0 uint32 name
//	4 uint16 type
//	6 uint16 reserved
//	8 uint32 value
type AnnotationObject struct {
	NameRVA  uint32 // of a UTF-8 string
	Type     uint16 // AnnotationTypeString, or another kind that the application defines
	ValueRVA uint32 // of a uint32 length and as many bytes (MinidumpByteArray)
}

// Put writes the AnnotationObjectSize bytes of r to b.
func (r *AnnotationObject) Put(b []byte, o binary.ByteOrder) {
	_ = b[AnnotationObjectSize-1]
	o.PutUint32(b[0:], r.NameRVA)
	o.PutUint16(b[4:], r.Type)
	o.PutUint16(b[6:], 0)
	o.PutUint32(b[8:], r.ValueRVA)
}

// Get reads r from the first AnnotationObjectSize bytes of b.
func (r *AnnotationObject) Get(b []byte, o binary.ByteOrder) {
	_ = b[AnnotationObjectSize-1]
	r.NameRVA = o.Uint32(b[0:])
	r.Type = o.Uint16(b[4:])
	r.ValueRVA = o.Uint32(b[8:])
}
