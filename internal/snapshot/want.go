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
	// ModeStack takes the threads' stacks and the code around the blamed thread's instruction pointer.
	ModeStack Mode = iota
	// ModeIndirect also takes the memory that the blamed thread's registers and stack point to.
	ModeIndirect
	// ModeFull takes every readable mapping.
	ModeFull
)

// Omit is a set of things that are left out of a dump for privacy.
type Omit uint8

// The bits of Omit.
const (
	OmitEnviron Omit = 1 << iota
	OmitCmdline
	OmitHandles
)

// Want describes what a dump must hold. Defaults are resolved: a zero means 0, unless the field says otherwise.
type Want struct {
	Thread int32          // the thread that the dump is about; 0: the source chooses
	Crash  *context.Crash // the crash, from the caller; nil: the source may know one

	Mode            Mode
	Limit           uint64 // most bytes of the dump; 0: no limit
	StackLimit      uint64 // most bytes of a thread's stack
	CrashStackLimit uint64 // most bytes of the blamed thread's stack

	SanitizeStacks bool
	SanitizeAll    bool
	Omit           Omit
	RegisterSets   bool
	Tokens         bool // access tokens of Windows
	DontDump       bool // take memory that is marked MADV_DONTDUMP too

	SkipUnreferenced bool
	Principal        uint64

	AppMemory   []Range
	Annotations []Annotation
	Annotated   []Annotated
	UserStreams []UserStream
	UserModules []UserModule

	Copy CopyWish // whether the memory is read from a copy of the process

	StopTimeout time.Duration
	MaxPause    time.Duration // most time that the process stays stopped in ModeFull
}

// A CopyWish says whether a dump of a live process makes a copy of it, so that the process need not stand still while its
// memory is read.
type CopyWish uint8

// The wishes.
const (
	CopyNever  CopyWish = iota
	CopyAuto            // where it can be done
	CopyAlways          // or there is no dump
)

// StackLimitOf returns the most bytes of a thread's stack.
func (w *Want) StackLimitOf(blamed bool) uint64 {
	if blamed {
		return w.CrashStackLimit
	}
	return w.StackLimit
}

// A Range is [Lo, Hi) of the process's memory.
type Range struct{ Lo, Hi uint64 }

// An Annotation is a key and a value for the CrashpadInfo stream.
type Annotation struct{ Key, Value string }

// Annotated is what the Crashpad client of one module of the process has to say, for the CrashpadInfo stream.
type Annotated struct {
	Address uint64 // in the module
	Simple  []Annotation
	Objects []AnnotationObject
}

// An AnnotationObject is an annotation with a type. Its value is the bytes of a string, whatever they are.
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

// A UserModule is a module that the memory map does not show, or shows wrongly. It hides the mappings that are entirely
// inside it.
type UserModule struct {
	Base, Size uint64
	Name       string
	BuildID    []byte
}
