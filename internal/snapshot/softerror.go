package snapshot

import "minidump/internal/arena"

// A SoftError records one item that is missing from the dump. Its fields have a fixed size because it may be
// recorded while the target is stopped; it is rendered as text later.
type SoftError struct {
	Op    Op
	Errno int32      // the system's error number; 0: no system call failed
	TID   int32      // 0: the error is about the process
	Addr  uint64     // 0: none
	Text  arena.Span // the subject, such as a path
}

// Op is an operation that can fail softly.
type Op uint8

// The operations; ops has their texts.
const (
	OpListThreads Op = iota
	OpSeize
	OpStop
	OpRelist
	OpNoThreads
	OpPrincipal
	OpReadAuxv
	OpParseMaps
	OpRegisters
	OpFPRegisters
	OpRegsets
	OpStack
	OpStackUnmapped
	OpCode
	OpAppMemory
	opMemory
	OpPages
	OpTruncated
	OpName
	OpModule
	OpModuleID
	OpModuleBase
	OpCPUInfo
	OpStatus
	OpOSRelease
	OpCmdline
	OpEnviron
	OpAuxv
	OpMaps
	OpLimits
	OpStat
	OpDSO
	OpDSOLoop
	OpHandles
	OpHandle
	OpSystem
	OpFull
	OpOtherTracer
	OpLimitMemory
	OpLimitStacks
	OpLimitText
	OpLimitContexts
	OpCore
	OpDumping
	OpAbsent
	OpVMFlags
	OpForkedCopy
	OpGoroutines
	OpNoCopy
	OpCopyLacks
	OpCopyShared
	OpCopyLeft
	OpToken
	numOps
)

// ops has the texts of each operation, for people and for the MozSoftErrors stream. The names in JSON are those of the
// Rust crate minidump-writer, which Socorro reads, if it has one. init puts the entry under "InitErrors".
var ops = [numOps]struct {
	what string
	name string
	init bool
}{
	OpListThreads:   {"list threads", "EnumerateThreadsFailed", true},
	OpSeize:         {"attach", "SuspendThreadFailed", true},
	OpStop:          {"timed out waiting for the stop", "StopProcessFailed", true},
	OpRelist:        {"list threads again", "EnumerateThreadsFailed", true},
	OpNoThreads:     {"no thread could be stopped", "SuspendNoThreadsLeft", true},
	OpPrincipal:     {"crashed thread does not reference the principal mapping", "PrincipalMappingNotReferenced", true},
	OpReadAuxv:      {"read auxv", "FillMissingAuxvInfoFailed", true},
	OpParseMaps:     {"read memory map", "EnumerateMappingsFailed", true},
	OpRegisters:     {"read registers", "ReadRegistersFailed", false},
	OpFPRegisters:   {"read floating-point registers", "ReadFloatingPointRegistersFailed", false},
	OpRegsets:       {"read additional register sets", "ReadRegisterSetsFailed", false},
	OpStack:         {"read stack", "ReadStackFailed", false},
	OpStackUnmapped: {"find stack (SP is not in or near readable memory)", "FindStackFailed", false},
	OpCode:          {"read code around IP", "ReadCodeFailed", false},
	OpAppMemory:     {"read application memory", "ReadAppMemoryFailed", false},
	opMemory:        {"read memory", "ReadMemoryFailed", false},
	OpPages:         {"read pages (written as zeros)", "ReadPagesFailed", false},
	OpTruncated:     {"snapshot space ran out: dropped data", "SnapshotTruncated", false},
	OpName:          {"read thread name", "ReadThreadNameFailed", false},
	OpModule:        {"read headers of module", "ReadModuleFailed", false},
	OpModuleID:      {"identify module", "ReadModuleIdFailed", false},
	OpModuleBase:    {"place module at the base address of its symbols, where there is another module", "ReadModuleFailed", false},
	OpCPUInfo:       {"read cpuinfo", "WriteCpuInfoFailed", false},
	OpStatus:        {"read status", "WriteThreadProcStatusFailed", false},
	OpOSRelease:     {"read os-release", "WriteOsReleaseInfoFailed", false},
	OpCmdline:       {"read command line", "WriteCommandLineFailed", false},
	OpEnviron:       {"read environment", "WriteEnvironmentFailed", false},
	OpAuxv:          {"read auxv", "WriteAuxvFailed", false},
	OpMaps:          {"read maps", "WriteMapsFailed", false},
	OpLimits:        {"read limits", "WriteLimitsFailed", false},
	OpStat:          {"read stat", "ReadProcessTimesFailed", false},
	OpDSO:           {"follow the list of loaded objects", "WriteDSODebugStreamFailed", false},
	OpDSOLoop:       {"list of loaded objects is too long or circular", "WriteDSODebugStreamFailed", false},
	OpHandles:       {"list descriptors", "WriteHandleDataStreamFailed", false},
	OpHandle:        {"read descriptor", "ReadHandleFailed", false},
	OpSystem:        {"read machine information", "WriteSystemInfoErrors", false},
	OpFull:          {"skip unreadable mapping", "SkippedMapping", false},
	OpOtherTracer:   {"attach despite another tracer", "SuspendThreadFailed", true},
	OpLimitMemory:   {"size limit: dropped memory", "LimitDroppedMemory", false},
	OpLimitStacks:   {"size limit: shortened stacks", "LimitShortenedStacks", false},
	OpLimitText:     {"size limit: dropped text streams", "LimitDroppedText", false},
	OpLimitContexts: {"size limit: dropped registers of threads", "LimitDroppedContexts", false},
	OpCore:          {"read all of the core file, which is shorter than its headers say", "ReadCoreFailed", false},
	OpAbsent:        {"read memory that its userfaultfd or file server has not provided", "MemoryNotPresent", false},
	OpVMFlags:       {"find the memory that is excluded from dumps", "ReadVmFlagsFailed", false},
	OpDumping:       {"inspect the process that is dumping core (only data from the core is in the dump)", "DumpingProcessFailed", false},
	OpForkedCopy:    {"inspect this process from a child (only the calling thread and a copy of the memory are in the dump)", "SuspendNoThreadsLeft", true},
	OpNoCopy:        {"take a snapshot of the process, which stayed stopped until the dump was written:", "SnapshotNotTaken", false},
	OpCopyLacks:     {"read memory that fork does not copy, beyond what may be read while the process is stopped", "SnapshotLacksMemory", false},
	OpCopyShared:    {"read shared memory as it was at the stop (it may have changed since)", "SnapshotSharedMemory", false},
	OpCopyLeft:      {"make the process reap its copy, which has exited and stays a zombie until the process exits", "SnapshotLeft", false},
	OpGoroutines:    {"list the goroutines: the runtime's tables are not in memory", "ReadGoroutinesFailed", false},
	OpToken:         {"read access token", "ReadTokenFailed", false},
}

// What describes in words what was attempted.
func (op Op) What() string { return ops[op].what }

// Name returns the name of the error in the MozSoftErrors stream.
func (op Op) Name() string { return ops[op].name }

// Initial reports whether the MozSoftErrors stream has the error under "InitErrors".
func (op Op) Initial() bool { return ops[op].init }

// Soft records a soft error and returns it, so that the caller may set Text. If the table is full, it records nothing
// and returns nil.
func (s *Snapshot) Soft(op Op, errno int32, tid int32, addr uint64) *SoftError {
	e := s.Errors.Add()
	if e != nil {
		*e = SoftError{Op: op, Errno: errno, TID: tid, Addr: addr}
	}
	return e
}

// SoftModule records a soft error about a module.
func (s *Snapshot) SoftModule(op Op, m *Module) {
	if e := s.Soft(op, 0, 0, m.Base); e != nil {
		e.Text = m.Path
	}
}

// A Numbering interprets the numbers of soft errors if they are not this system's error numbers.
type Numbering interface {
	// Text returns the number in words. It does not allocate for known numbers.
	Text(number int32) string
	// Err returns the number as an error.
	Err(number int32) error
}
