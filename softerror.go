package minidump

import (
	"strconv"
	"syscall"
)

// A soft error costs one piece of the dump, never the dump. It is recorded as fixed-size fields while the target may
// be stopped and turned into text later: into the MozSoftErrors stream, and into SoftError values when asked for.
type softError struct {
	op    softOp
	errno int32
	tid   int32
	addr  uint64
	text  span
}

type softOp uint8

const (
	opListThreads softOp = iota
	opSeize
	opStop
	opRelist
	opNoThreads
	opPrincipal
	opReadAuxv
	opParseMaps
	opRegisters
	opFPRegisters
	opRegsets
	opStack
	opStackUnmapped
	opCode
	opAppMemory
	opMemory
	opPages
	opTruncated
	opName
	opModule
	opModuleID
	opModuleBase
	opCPUInfo
	opStatus
	opOSRelease
	opCmdline
	opEnviron
	opAuxv
	opMaps
	opLimits
	opStat
	opDSO
	opDSOLoop
	opHandles
	opHandle
	opSystem
	opFull
	opOtherTracer
	opLimitMemory
	opLimitStacks
	opLimitText
	opLimitContexts
	opCore
	opDumping
	numOps
)

// softOps names each operation: for people, and for the JSON stream. The JSON names are those that Socorro knows from
// minidump-writer where it has one for the thing; init puts the entry under "InitErrors".
var softOps = [numOps]struct {
	what string
	name string
	init bool
}{
	opListThreads:   {"list threads", "EnumerateThreadsFailed", true},
	opSeize:         {"attach", "SuspendThreadFailed", true},
	opStop:          {"stop in time", "StopProcessFailed", true},
	opRelist:        {"list threads again", "EnumerateThreadsFailed", true},
	opNoThreads:     {"no thread could be stopped", "SuspendNoThreadsLeft", true},
	opPrincipal:     {"crashed thread does not reference the principal mapping", "PrincipalMappingNotReferenced", true},
	opReadAuxv:      {"read auxv", "FillMissingAuxvInfoFailed", true},
	opParseMaps:     {"read memory map", "EnumerateMappingsFailed", true},
	opRegisters:     {"read registers", "ReadRegistersFailed", false},
	opFPRegisters:   {"read floating-point registers", "ReadFloatingPointRegistersFailed", false},
	opRegsets:       {"read further register sets", "ReadRegisterSetsFailed", false},
	opStack:         {"read stack", "ReadStackFailed", false},
	opStackUnmapped: {"find stack: SP is not in or near readable memory", "FindStackFailed", false},
	opCode:          {"read code around IP", "ReadCodeFailed", false},
	opAppMemory:     {"read application memory", "ReadAppMemoryFailed", false},
	opMemory:        {"read memory", "ReadMemoryFailed", false},
	opPages:         {"read pages (written as zeros)", "ReadPagesFailed", false},
	opTruncated:     {"snapshot space ran out for", "SnapshotTruncated", false},
	opName:          {"read thread name", "ReadThreadNameFailed", false},
	opModule:        {"read headers of module", "ReadModuleFailed", false},
	opModuleID:      {"identify module", "ReadModuleIdFailed", false},
	opModuleBase:    {"put module where its symbols count from: another is there", "ReadModuleFailed", false},
	opCPUInfo:       {"read cpuinfo", "WriteCpuInfoFailed", false},
	opStatus:        {"read status", "WriteThreadProcStatusFailed", false},
	opOSRelease:     {"read os-release", "WriteOsReleaseInfoFailed", false},
	opCmdline:       {"read command line", "WriteCommandLineFailed", false},
	opEnviron:       {"read environment", "WriteEnvironmentFailed", false},
	opAuxv:          {"read auxv", "WriteAuxvFailed", false},
	opMaps:          {"read maps", "WriteMapsFailed", false},
	opLimits:        {"read limits", "WriteLimitsFailed", false},
	opStat:          {"read stat", "ReadProcessTimesFailed", false},
	opDSO:           {"follow the list of loaded objects", "WriteDSODebugStreamFailed", false},
	opDSOLoop:       {"list of loaded objects is too long or a loop", "WriteDSODebugStreamFailed", false},
	opHandles:       {"list descriptors", "WriteHandleDataStreamFailed", false},
	opHandle:        {"read descriptor", "ReadHandleFailed", false},
	opSystem:        {"read facts of the machine", "WriteSystemInfoErrors", false},
	opFull:          {"skip unreadable mapping", "SkippedMapping", false},
	opOtherTracer:   {"attach: another tracer has the process", "SuspendThreadFailed", true},
	opLimitMemory:   {"size limit: dropped memory", "LimitDroppedMemory", false},
	opLimitStacks:   {"size limit: shortened stacks", "LimitShortenedStacks", false},
	opLimitText:     {"size limit: dropped text streams", "LimitDroppedText", false},
	opLimitContexts: {"size limit: dropped registers of threads", "LimitDroppedContexts", false},
	opCore:          {"read all of the core file: it is shorter than its headers say", "ReadCoreFailed", false},
	opDumping:       {"look at the process that dumps core, so that only what is in the core is here", "DumpingProcessFailed", false},
}

// soft records a soft error. When even that table is full the error is lost, and the dump goes on.
func (s *snapshot) soft(op softOp, errno int32, tid int32, addr uint64) *softError {
	e := s.errors.add()
	if e != nil {
		*e = softError{op: op, errno: errno, tid: tid, addr: addr}
	}
	return e
}

// A SoftError is something that could not be put into a dump that was otherwise written.
type SoftError struct {
	Op      string // what was attempted, such as "read registers"
	Thread  int    // the thread it was attempted on; 0: the process
	Address uint64 // the address it was attempted at; 0: none
	Subject string // what else identifies it, such as a module's name
	Err     error  // the system's error, a syscall.Errno; nil where it was no system call that failed
}

// Error renders the error in one line.
func (e *SoftError) Error() string {
	t := e.Op
	if e.Subject != "" {
		t += " " + strconv.Quote(e.Subject)
	}
	if e.Thread != 0 {
		t += " of thread " + strconv.Itoa(e.Thread)
	}
	if e.Address != 0 {
		t += " at 0x" + strconv.FormatUint(e.Address, 16)
	}
	if e.Err != nil {
		t += ": " + e.Err.Error()
	}
	return t
}

// Unwrap gives the system's error.
func (e *SoftError) Unwrap() error { return e.Err }

// softErrors renders the records for the caller of Dump.
func (s *snapshot) softErrors() []SoftError {
	out := make([]SoftError, 0, s.errors.n)
	for _, e := range s.errors.all() {
		r := SoftError{Op: softOps[e.op].what, Thread: int(e.tid), Address: e.addr, Subject: string(s.bytes.bytes(e.text))}
		if e.errno != 0 {
			r.Err = syscall.Errno(e.errno)
		}
		out = append(out, r)
	}
	return out
}

// appendJSON renders the records as minidump-writer does: an array of externally tagged values, those of the first
// phase inside one "InitErrors". dst must have the capacity; what does not fit is cut at a record.
func (s *snapshot) appendJSON(dst []byte) []byte {
	first := len(dst)
	out := text(dst)
	out.add("[")
	for _, initial := range [2]bool{true, false} {
		open := false
		for _, e := range s.errors.all() {
			if softOps[e.op].init != initial {
				continue
			}
			// The longest record: its fixed text, the escaped subject, and what closes the document.
			if cap(out)-len(out) < 320+6*int(e.text.len) {
				break
			}
			if out[len(out)-1] != '[' {
				out.add(",")
			}
			if initial && !open {
				out.add("\n  {\n    \"InitErrors\": [")
				open = true
			}
			out.add("\n")
			if initial {
				out.add("    ")
			}
			s.addRecord(&out, &e)
		}
		if open {
			out.add("\n    ]\n  }")
		}
	}
	if len(out) > first+1 {
		out.add("\n")
	}
	out.add("]")
	return out
}

func (s *snapshot) addRecord(out *text, e *softError) {
	op := &softOps[e.op]
	switch e.op { // the forms that minidump-writer gives to what both know
	case opPrincipal:
		out.add("  \"PrincipalMappingNotReferenced\"")
		return
	case opStop:
		if e.tid == 0 {
			out.add("  {\"StopProcessFailed\": \"Timeout\"}")
			return
		}
	}
	out.add("  {\"")
	out.add(op.name)
	out.add("\": {\"what\": \"")
	out.add(op.what)
	out.add("\"")
	if e.text.len > 0 {
		out.add(", \"subject\": \"")
		*out = appendEscaped(*out, s.bytes.bytes(e.text))
		out.add("\"")
	}
	if e.tid != 0 {
		out.add(", \"thread\": ")
		*out = strconv.AppendInt(*out, int64(e.tid), 10)
	}
	if e.addr != 0 {
		out.add(", \"address\": \"0x")
		*out = strconv.AppendUint(*out, e.addr, 16)
		out.add("\"")
	}
	if e.errno != 0 {
		out.add(", \"errno\": ")
		*out = strconv.AppendInt(*out, int64(e.errno), 10)
		out.add(", \"error\": \"")
		out.add(errnoText(e.errno))
		out.add("\"")
	}
	out.add("}}")
}

// text is a text in the making.
type text []byte

//go:noinline
func (t *text) add(piece string) { *t = append(*t, piece...) }

// appendEscaped writes p as the inside of a JSON string; bytes that are not printable ASCII become \u00NN, so that the
// result is valid whatever the encoding of a file name was.
func appendEscaped(dst, p []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range p {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
