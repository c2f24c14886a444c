package main

import (
	"encoding/json"
	"fmt"
	"time"

	"minidump/context"
)

// dumpInfo is all that show prints of a dump: read once, and rendered as text or as JSON. Fields that the dump does not
// have are empty or nil. docs/show.schema.json describes the JSON.
type dumpInfo struct {
	File      string       `json:"file"`
	Size      uint64       `json:"size"`
	ByteOrder string       `json:"byte_order"`
	Created   *time.Time   `json:"created,omitempty"`
	Version   hex          `json:"version"`
	Flags     hex          `json:"flags"`
	Streams   []streamInfo `json:"streams"`

	Process processInfo `json:"process"`
	System  *systemInfo `json:"system,omitempty"`
	Reason  *reason     `json:"reason,omitempty"`

	Signature string `json:"signature,omitempty"` // what crashes of this kind have in common

	Asked *breakpadInfo `json:"breakpad,omitempty"`

	Threads    []threadInfo     `json:"threads"`
	Goroutines *goroutineList   `json:"goroutines,omitempty"` // of a Go program
	Modules    []moduleInfo     `json:"modules"`
	Unloaded   []unloadedModule `json:"unloaded_modules"`
	Memory     []memoryRange    `json:"memory_ranges"`
	Mappings   []mapping        `json:"mappings"`
	Handles    []handle         `json:"handles"`

	Assertion    *assertion     `json:"assertion,omitempty"`
	Comment      string         `json:"comment,omitempty"`
	VM           *vmCounters    `json:"process_memory,omitempty"`
	SystemMemory *systemMemory  `json:"system_memory,omitempty"`
	Tokens       []token        `json:"tokens,omitempty"`
	Functions    []functions    `json:"function_tables,omitempty"`
	HandleOps    []handleOp     `json:"handle_operations,omitempty"`
	CrashInfo    []macCrashInfo `json:"macos_crash_info,omitempty"`
	BootArgs     string         `json:"macos_boot_args,omitempty"`

	Annotations       []annotation        `json:"annotations"`
	ReportID          string              `json:"report_id,omitempty"`
	ClientID          string              `json:"client_id,omitempty"`
	ModuleAnnotations []moduleAnnotations `json:"module_annotations,omitempty"`

	RegisterSets []registerSet `json:"register_sets,omitempty"`
	DSO          *dsoInfo      `json:"dso_debug,omitempty"`
	Auxv         []auxEntry    `json:"auxv,omitempty"`
	Misc         *miscInfo     `json:"misc,omitempty"`

	SoftErrors json.RawMessage   `json:"soft_errors,omitempty"` // as in the dump; a string if it is not JSON, or is deeply nested
	Texts      map[string]string `json:"texts,omitempty"`       // streams of plain text by their names
	Problems   []string          `json:"problems"`

	narrow bool // the process had 32-bit addresses
	byBase []*moduleInfo
	soft   string
	budget uint64 // see text
}

// text returns s, or only its start if s is long and the long texts so far exceed those of any real dump: in a small
// file, thousands of records can have the same long name.
func (d *dumpInfo) text(s string) string {
	const free = 256
	if len(s) <= free {
		return s
	}
	if uint64(len(s)) > d.budget {
		return s[:free] + "…"
	}
	d.budget -= uint64(len(s))
	return s
}

type streamInfo struct {
	Type   hex    `json:"type"`
	Name   string `json:"name"`
	Offset uint32 `json:"offset"`
	Size   uint32 `json:"size"`
}

type processInfo struct {
	Name        string     `json:"name,omitempty"`
	PID         uint32     `json:"pid,omitempty"`
	Started     *time.Time `json:"started,omitempty"`
	UserTime    *uint32    `json:"user_seconds,omitempty"`
	KernelTime  *uint32    `json:"kernel_seconds,omitempty"`
	CommandLine []string   `json:"command_line,omitempty"`
}

type systemInfo struct {
	OS           string `json:"os"`
	PlatformID   hex    `json:"platform_id"`
	Version      string `json:"version"`
	Build        string `json:"build,omitempty"`        // CSDVersion: uname, a service pack, a build number
	Distribution string `json:"distribution,omitempty"` // of Linux
	CPU          string `json:"cpu"`
	CPUID        hex    `json:"processor_architecture"`
	CPUName      string `json:"cpu_name,omitempty"`
	CPUVendor    string `json:"cpu_vendor,omitempty"`
	CPULevel     uint16 `json:"cpu_level"`
	CPURevision  hex    `json:"cpu_revision"`
	CPUBytes     string `json:"cpu_information"` // the union of SystemInfo, in hexadecimal
	CPUs         uint8  `json:"cpus"`

	arch context.Arch
}

type breakpadInfo struct {
	DumpThread       *uint32 `json:"dump_thread,omitempty"`
	RequestingThread *uint32 `json:"requesting_thread,omitempty"`
}

// place is an address and the module that contains it.
type place struct {
	Address hex    `json:"address"`
	Module  string `json:"module,omitempty"`
	Offset  hex    `json:"offset,omitempty"`
}

func (p *place) String() string {
	if p.Module == "" {
		return p.Address.String()
	}
	return printable(baseName(p.Module)) + "+" + p.Offset.String()
}

// registers are in the order of the architecture's table, also in JSON.
type registers []context.Register

// MarshalJSON returns a JSON object.
func (r registers) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:\"%#x\"", x.Name, x.Value)
	}
	return append(b, '}'), nil
}

type threadInfo struct {
	ID           uint32    `json:"id"`
	Name         string    `json:"name,omitempty"`
	IP           *place    `json:"ip,omitempty"`
	SP           hex       `json:"sp,omitempty"`
	StackStart   hex       `json:"stack_start"`
	StackSize    uint32    `json:"stack_size"`
	Suspended    uint32    `json:"suspend_count,omitempty"`
	Class        uint32    `json:"priority_class,omitempty"`
	Priority     uint32    `json:"priority,omitempty"`
	TEB          hex       `json:"teb,omitempty"`
	StartAddress *place    `json:"start_address,omitempty"`
	UserTime     uint64    `json:"user_100ns,omitempty"`
	KernelTime   uint64    `json:"kernel_100ns,omitempty"`
	ExitStatus   uint32    `json:"exit_status,omitempty"`
	Affinity     hex       `json:"affinity,omitempty"`
	InfoFlags    hex       `json:"info_flags,omitempty"` // MINIDUMP_THREAD_INFO_…
	LastError    *uint32   `json:"last_error,omitempty"` // Windows: from the TEB
	ContextNote  string    `json:"context_note,omitempty"`
	Registers    registers `json:"registers,omitempty"`

	Frames []frameInfo `json:"frames,omitempty"` // innermost first

	cpu *context.CPU
}

type moduleInfo struct {
	Base      hex    `json:"base"`
	Size      uint32 `json:"size"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	DebugID   string `json:"debug_id,omitempty"`
	CodeID    string `json:"code_id,omitempty"`
	BuildID   string `json:"build_id,omitempty"`
	DebugFile string `json:"debug_file,omitempty"`
	Timestamp hex    `json:"timestamp,omitempty"`
	Checksum  hex    `json:"checksum,omitempty"`
}

type unloadedModule struct {
	Base      hex    `json:"base"`
	Size      uint32 `json:"size"`
	Name      string `json:"name"`
	Timestamp hex    `json:"timestamp,omitempty"`
	Checksum  hex    `json:"checksum,omitempty"`
}

type memoryRange struct {
	Address hex    `json:"address"`
	Size    uint64 `json:"size"`
	Offset  uint64 `json:"offset"`
}

type mapping struct {
	Address           hex    `json:"address"`
	Size              hex    `json:"size"`
	AllocationBase    hex    `json:"allocation_base"`
	AllocationProtect hex    `json:"allocation_protect"`
	State             hex    `json:"state"`
	Protect           hex    `json:"protect"`
	Type              hex    `json:"type"`
	Access            string `json:"access"` // "r-x", or "free", "reserved"
}

type handle struct {
	Handle     uint64   `json:"handle"`
	Type       string   `json:"type,omitempty"`
	Name       string   `json:"name,omitempty"`
	Attributes hex      `json:"attributes"` // Linux: st_mode
	Access     hex      `json:"granted_access"`
	Handles    uint32   `json:"handle_count"`
	Pointers   uint32   `json:"pointer_count"`
	Objects    []object `json:"object_info,omitempty"`
}

// object is an element of a handle's list of object information.
type object struct {
	Type uint32 `json:"type"` // Mini…Information…
	Data string `json:"data"` // in hexadecimal
}

type assertion struct {
	Expression string `json:"expression"`
	Function   string `json:"function"`
	File       string `json:"file"`
	Line       uint32 `json:"line"`
	Type       string `json:"type"` // "invalid parameter", "pure virtual call", or a number
}

// vmCounters are sizes in bytes; those that the writer did not record are absent.
type vmCounters struct {
	PageFaults            uint32  `json:"page_faults"`
	WorkingSet            uint64  `json:"working_set"`
	PeakWorkingSet        uint64  `json:"peak_working_set"`
	PagedPool             uint64  `json:"paged_pool"`
	PeakPagedPool         uint64  `json:"peak_paged_pool"`
	NonPagedPool          uint64  `json:"nonpaged_pool"`
	PeakNonPagedPool      uint64  `json:"peak_nonpaged_pool"`
	Pagefile              uint64  `json:"pagefile"`
	PeakPagefile          uint64  `json:"peak_pagefile"`
	VirtualSize           *uint64 `json:"virtual_size,omitempty"`
	PeakVirtualSize       *uint64 `json:"peak_virtual_size,omitempty"`
	Private               *uint64 `json:"private,omitempty"`
	PrivateWorkingSet     *uint64 `json:"private_working_set,omitempty"`
	SharedCommit          *uint64 `json:"shared_commit,omitempty"`
	JobSharedCommit       *uint64 `json:"job_shared_commit,omitempty"`
	JobPrivateCommit      *uint64 `json:"job_private_commit,omitempty"`
	JobPeakPrivateCommit  *uint64 `json:"job_peak_private_commit,omitempty"`
	JobPrivateCommitLimit *uint64 `json:"job_private_commit_limit,omitempty"`
	JobTotalCommitLimit   *uint64 `json:"job_total_commit_limit,omitempty"`
}

// systemMemory are counts of pages, unless the name ends in bytes.
type systemMemory struct {
	PageSize        uint32 `json:"page_size_bytes"`
	Granularity     uint32 `json:"allocation_granularity_bytes"`
	Physical        uint32 `json:"physical_pages"`
	Available       uint64 `json:"available_pages"`
	Committed       uint64 `json:"committed_pages"`
	CommitLimit     uint64 `json:"commit_limit_pages"`
	PeakCommitted   uint64 `json:"peak_committed_pages"`
	PagedPool       uint32 `json:"paged_pool_pages"`
	NonPagedPool    uint32 `json:"nonpaged_pool_pages"`
	PageFaults      uint32 `json:"page_faults"`
	ContextSwitches uint32 `json:"context_switches"`
	SystemCalls     uint32 `json:"system_calls"`
	FileCache       uint64 `json:"file_cache_bytes"`
	PeakFileCache   uint64 `json:"peak_file_cache_bytes"`
	MinAddress      hex    `json:"minimum_address"`
	MaxAddress      hex    `json:"maximum_address"`
	Processors      uint32 `json:"processors"`
	Affinity        hex    `json:"active_processors"`
}

type token struct {
	ID     uint32 `json:"id"` // of the process or thread
	Handle hex    `json:"handle"`
	Size   uint32 `json:"size"`

	User           string   `json:"user,omitempty"` // a SID, as are groups and restricted
	Session        uint32   `json:"session,omitempty"`
	Logon          hex      `json:"logon,omitempty"`
	Impersonation  bool     `json:"impersonation,omitempty"`
	PrimaryGroup   string   `json:"primary_group,omitempty"`
	Groups         []string `json:"groups,omitempty"`
	RestrictedSIDs []string `json:"restricted_sids,omitempty"`
	Privileges     []string `json:"privileges,omitempty"`         // all
	Enabled        []string `json:"enabled_privileges,omitempty"` // the enabled ones
}

// functions is a table of functions created at run time.
type functions struct {
	Start   hex    `json:"start"`
	End     hex    `json:"end"`
	Base    hex    `json:"base"`
	Entries uint32 `json:"entries"`
}

type handleOp struct {
	Handle  hex      `json:"handle"`
	Process uint32   `json:"process"`
	Thread  uint32   `json:"thread"`
	Op      string   `json:"operation"` // "open", "close", "bad reference", or a number
	Stack   []*place `json:"stack"`
}

type macCrashInfo struct {
	Version    uint64 `json:"version"`
	Module     string `json:"module,omitempty"`
	Message    string `json:"message,omitempty"`
	Signature  string `json:"signature,omitempty"`
	Backtrace  string `json:"backtrace,omitempty"`
	Message2   string `json:"message2,omitempty"`
	Thread     uint64 `json:"thread,omitempty"`
	DialogMode uint64 `json:"dialog_mode,omitempty"`
	AbortCause uint64 `json:"abort_cause,omitempty"`
}

type annotation struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type moduleAnnotations struct {
	Module  string             `json:"module"`
	List    []string           `json:"list,omitempty"`
	Simple  []annotation       `json:"simple,omitempty"`
	Objects []annotationObject `json:"objects,omitempty"`
}

type annotationObject struct {
	Name  string `json:"name"`
	Type  uint16 `json:"type"`
	Value string `json:"value"` // in hexadecimal if it is not text
}

type registerSet struct {
	Thread uint32 `json:"thread"`
	Type   hex    `json:"note_type"`
	Offset uint32 `json:"offset"`
	Size   uint32 `json:"size"`
}

type dsoInfo struct {
	Version  uint32    `json:"version"`
	Break    hex       `json:"brk"`
	Loader   hex       `json:"ldbase"`
	Dynamic  hex       `json:"dynamic"`
	LinkMaps []linkMap `json:"link_maps"`
}

type linkMap struct {
	Bias    hex    `json:"addr"`
	Dynamic hex    `json:"ld"`
	Name    string `json:"name"`
}

type auxEntry struct {
	Type  uint64 `json:"type"`
	Value hex    `json:"value"`
}

type miscInfo struct {
	Size         uint32 `json:"size"`
	Flags        hex    `json:"flags"`
	MaxMHz       uint32 `json:"processor_max_mhz,omitempty"`
	CurrentMHz   uint32 `json:"processor_current_mhz,omitempty"`
	LimitMHz     uint32 `json:"processor_mhz_limit,omitempty"`
	Integrity    hex    `json:"integrity_level,omitempty"`
	ExecuteFlags hex    `json:"execute_flags,omitempty"`
	Protected    uint32 `json:"protected_process,omitempty"`
	TimeZone     string `json:"time_zone,omitempty"`
	Bias         int32  `json:"time_zone_bias_minutes,omitempty"`
	Build        string `json:"build,omitempty"`
	DebugBuild   string `json:"debug_build,omitempty"`
	Cookie       hex    `json:"process_cookie,omitempty"`
	XState       hex    `json:"xstate_features,omitempty"`
}
