package snapshot

import (
	"time"

	"minidump/context"
	"minidump/stream"
)

// Mode is how much memory goes into a dump.
type Mode uint8

// The modes.
const (
	// ModeStack includes the threads' stacks and the code around the blamed thread's instruction pointer.
	ModeStack Mode = iota
	// ModeIndirect also includes the memory that the blamed thread's registers and stack point to.
	ModeIndirect
	// ModeFull includes every readable mapping.
	ModeFull
)

// Omit is a set of items that are left out of a dump for privacy.
type Omit uint8

// The bits of Omit.
const (
	OmitEnviron Omit = 1 << iota
	OmitCmdline
	OmitHandles
)

// Want describes what a dump must contain. Defaults are resolved: a zero means 0, unless the field says otherwise.
type Want struct {
	Thread int32          // the thread that the dump is about; 0: the source chooses
	Crash  *context.Crash // the crash as reported by the caller; nil: the source may know one

	Mode            Mode
	Limit           uint64 // maximum size of the dump in bytes; 0: no limit
	StackLimit      uint64 // maximum bytes of a thread's stack
	CrashStackLimit uint64 // maximum bytes of the blamed thread's stack

	SanitizeStacks bool
	SanitizeAll    bool
	Omit           Omit
	RegisterSets   bool
	Tokens         bool // access tokens of Windows
	DontDump       bool // also include memory that is marked MADV_DONTDUMP

	SkipUnreferenced bool
	Principal        uint64

	AppMemory   []Range
	Annotations []Annotation
	Annotated   []Annotated
	UserStreams []UserStream
	UserModules []UserModule

	Copy CopyWish // whether the memory is read from a copy of the process

	StopTimeout time.Duration
	MaxPause    time.Duration // maximum time for which the process stays stopped in ModeFull
}

// A CopyWish is whether a dump of a live process makes a copy of the process, so that it is not stopped while its memory is read.
type CopyWish uint8

// The values of CopyWish.
const (
	CopyNever  CopyWish = iota
	CopyAuto            // if possible
	CopyAlways          // otherwise the dump fails
)

// StackLimitOf returns the maximum number of bytes of a thread's stack.
func (w *Want) StackLimitOf(blamed bool) uint64 {
	if blamed {
		return w.CrashStackLimit
	}
	return w.StackLimit
}

// A Range is the range [Lo, Hi) of the process's memory.
type Range struct{ Lo, Hi uint64 }

// An Annotation is a key and a value for the CrashpadInfo stream.
type Annotation struct{ Key, Value string }

// Annotated is what the Crashpad client of one module of the process provides for the CrashpadInfo stream.
type Annotated struct {
	Address uint64 // in the module
	Simple  []Annotation
	Objects []AnnotationObject
}

// An AnnotationObject is an annotation with a type. Its value is arbitrary bytes in a string.
type AnnotationObject struct {
	Name  string
	Type  uint16
	Value string
}

// A UserStream is a stream that the caller adds.
type UserStream struct {
	Type stream.Type
	Data []byte
}

// A UserModule is a module that the memory map does not show, or shows wrongly. It hides the mappings that are entirely inside it.
type UserModule struct {
	Base, Size uint64
	Name       string
	BuildID    []byte
}
