package minidump

import (
	"time"

	"minidump/context"
	"minidump/stream"

	"minidump/internal/snapshot"
)

// Mode is how much memory goes into a dump.
type Mode uint8

// The modes.
const (
	// ModeStack includes the threads' stacks and the code around the blamed thread's instruction pointer.
	ModeStack Mode = iota
	// ModeIndirect also includes the memory that the blamed thread's registers and stack point to.
	ModeIndirect
	// ModeFull includes every readable mapping. The target stays stopped until the dump is written, unless a copy of it is
	// made (Options.Snapshot).
	ModeFull
)

// Snapshot says whether NewWriter's dumps are read from a copy-on-write copy of the process, as fork(2) makes. The process is stopped only
// while its page tables are copied: some 26 ms per GiB in 4 KiB pages. docs/snapshot.md says how the copy is made and what the process may
// notice.
//
// Copies are made on Linux on amd64, 386, arm64, arm, ppc64, ppc64le, riscv64 and s390x. No copy is made of a process that has a
// seccomp filter or a userfaultfd, that is stopped, or that has a thread that does not stop, or if memory is short.
//
// A child makes the copy: the calling program, started again from /proc/self/exe, as in DumpSelf. Starting it allocates.
type Snapshot uint8

// The values of Snapshot.
const (
	SnapshotNever  Snapshot = iota // the process is stopped for as long as its memory is read
	SnapshotAuto                   // a copy in ModeFull if the process has at least 64 MiB in memory and a copy can be made
	SnapshotAlways                 // a copy, or an error that wraps ErrSnapshot
)

// Omit is a set of things to leave out of a dump for privacy. Values can be or-ed.
type Omit uint8

// The bits of Omit.
const (
	OmitEnviron Omit = 1 << iota // the environment
	OmitCmdline                  // the command line
	OmitHandles                  // the list of open files
)

// DumpRequested is the exception code of a dump without a crash (MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED).
const DumpRequested = stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED

// Default values of Options.
const (
	DefaultStackLimit      = 32 << 10  // bytes of a thread's stack
	DefaultCrashStackLimit = 256 << 10 // bytes of the blamed thread's stack
	DefaultStopTimeout     = 100 * time.Millisecond
	DefaultMaxPause        = time.Minute
)

// AppMemory is a range of the target's memory, [Address, Address+Size), that goes into the dump.
type AppMemory struct {
	Address, Size uint64
}

// Annotation is a key and a value for the CrashpadInfo stream, which crash servers index.
type Annotation struct {
	Key, Value string
}

// ModuleAnnotations are annotations of one module, such as those in the CrashpadInfo of a Crashpad client. They are left out
// if the module is not in the dump.
type ModuleAnnotations struct {
	Address uint64 // of any byte of the module
	Simple  []Annotation
	Objects []AnnotationObject
}

// AnnotationObject is a Crashpad annotation with a type: stream.AnnotationTypeString, or a type of 0x8000 and above that
// the program defines.
type AnnotationObject struct {
	Name  string
	Type  uint16
	Value []byte // at most stream.MaxString bytes are written
}

// UserStream is an additional stream of the dump. Type must not be the type of a standard stream.
type UserStream struct {
	Type stream.Type
	Data []byte
}

// UserModule is a module that the memory map does not show, or shows wrongly, such as a library loaded by the
// application's own loader. Mappings that are entirely inside it are not listed as modules.
type UserModule struct {
	Base, Size uint64
	Name       string
	BuildID    []byte // empty: no CodeView record
}

// Options describe what goes into a dump. The zero value is a good default.
type Options struct {
	Thread int            // the thread that the dump is about; 0: that of Crash, else the main thread
	Crash  *context.Crash // why Thread crashed, and its registers at that moment; nil: there was no crash

	Mode       Mode
	Limit      uint64 // maximum size of the dump in bytes; 0: no limit
	StackLimit uint64 // maximum bytes of one thread's stack; 0: DefaultStackLimit
	// CrashStackLimit is StackLimit for the blamed thread. 0: DefaultCrashStackLimit, or StackLimit if that is more, but
	// at most half of Limit (a quarter in ModeFull, which stores the stack twice).
	CrashStackLimit uint64

	SanitizeStacks bool // replace stack words that are not pointers into code or the stack (see docs/format.md)
	SanitizeAll    bool // also replace such words of every other memory range of the dump
	Omit           Omit
	RegisterSets   bool // also store the register sets that the CPU context cannot hold (AVX, SVE, VSX…)

	// SkipUnreferencedStacks leaves out the stacks of threads that neither execute in nor point into the module at
	// PrincipalAddress.
	SkipUnreferencedStacks bool
	PrincipalAddress       uint64

	AppMemory   []AppMemory
	Annotations []Annotation
	UserStreams []UserStream
	UserModules []UserModule

	ModuleAnnotations []ModuleAnnotations

	// IncludeDontDump also includes memory that the process marked with MADV_DONTDUMP, as programs do with their keys.
	// By default such memory is left out, except where AppMemory names it.
	IncludeDontDump bool

	// Tokens includes the access tokens of the process and of its threads: their user, groups and privileges. Windows only.
	Tokens bool

	StopTimeout time.Duration // how long to wait for all threads to stop; 0: DefaultStopTimeout

	// Snapshot says whether a live process is copied in ModeFull and ModeIndirect, and runs while the copy is read: see
	// type Snapshot.
	Snapshot Snapshot

	// MaxPause is how long after all threads have stopped the process may stay stopped in ModeFull, where the dump is
	// written meanwhile; 0: DefaultMaxPause. After that the process is resumed, and the dump fails with ErrPause as soon
	// as dst accepts bytes again.
	MaxPause time.Duration
}

// want sets w to these options, with the defaults resolved.
func (o *Options) want(w *snapshot.Want) {
	*w = snapshot.Want{
		Thread: int32(o.Thread), Crash: o.Crash,
		Mode: snapshot.Mode(o.Mode), Limit: o.Limit, StackLimit: o.StackLimit,
		SanitizeStacks: o.SanitizeStacks, SanitizeAll: o.SanitizeAll, Omit: snapshot.Omit(o.Omit), RegisterSets: o.RegisterSets,
		SkipUnreferenced: o.SkipUnreferencedStacks, Principal: o.PrincipalAddress,
		Annotations: annotations(o.Annotations), StopTimeout: o.StopTimeout, MaxPause: o.MaxPause, DontDump: o.IncludeDontDump,
		Copy: snapshot.CopyWish(o.Snapshot), Tokens: o.Tokens,
	}
	if w.StackLimit == 0 {
		w.StackLimit = DefaultStackLimit
	}
	w.CrashStackLimit = o.crashStackLimit(w.StackLimit)
	if w.StopTimeout <= 0 {
		w.StopTimeout = DefaultStopTimeout
	}
	if w.MaxPause <= 0 {
		w.MaxPause = DefaultMaxPause
	}
	for _, m := range o.AppMemory {
		w.AppMemory = append(w.AppMemory, snapshot.Range{Lo: m.Address, Hi: m.Address + min(m.Size, ^m.Address)})
	}
	for _, u := range o.UserStreams {
		w.UserStreams = append(w.UserStreams, snapshot.UserStream{Type: u.Type, Data: u.Data})
	}
	for _, m := range o.ModuleAnnotations {
		a := snapshot.Annotated{Address: m.Address, Simple: annotations(m.Simple)}
		for _, v := range m.Objects {
			a.Objects = append(a.Objects, snapshot.AnnotationObject{Name: v.Name, Type: v.Type, Value: string(v.Value)})
		}
		w.Annotated = append(w.Annotated, a)
	}
	for _, m := range o.UserModules {
		w.UserModules = append(w.UserModules, snapshot.UserModule{Base: m.Base, Size: m.Size, Name: m.Name, BuildID: m.BuildID})
	}
}

// crashStackLimit returns the maximum bytes of the blamed thread's stack. Limit never shortens that stack, so the
// default is a share of Limit.
func (o *Options) crashStackLimit(stackLimit uint64) uint64 {
	if o.CrashStackLimit != 0 {
		return o.CrashStackLimit
	}
	limit := max(stackLimit, DefaultCrashStackLimit)
	if o.Limit == 0 {
		return limit
	}
	share := o.Limit / 2
	if o.Mode == ModeFull { // the stack is in the file twice
		share /= 2
	}
	return min(limit, share)
}

func annotations(list []Annotation) []snapshot.Annotation {
	var out []snapshot.Annotation
	for _, a := range list {
		out = append(out, snapshot.Annotation{Key: a.Key, Value: a.Value})
	}
	return out
}
