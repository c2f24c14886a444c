package mach

import "minidump/internal/errtext"

// A KernReturn is the result of a Mach call: kern_return_t, and mach_msg_return_t, which is in the same space of
// numbers. It is an error unless it is [KERN_SUCCESS]; [KernReturn.Err] makes a Go error of it.
type KernReturn int32

// Results of kernel calls: osfmk/mach/kern_return.h.
const (
	KERN_SUCCESS                  KernReturn = 0
	KERN_INVALID_ADDRESS          KernReturn = 1
	KERN_PROTECTION_FAILURE       KernReturn = 2
	KERN_NO_SPACE                 KernReturn = 3
	KERN_INVALID_ARGUMENT         KernReturn = 4
	KERN_FAILURE                  KernReturn = 5
	KERN_RESOURCE_SHORTAGE        KernReturn = 6
	KERN_NOT_RECEIVER             KernReturn = 7
	KERN_NO_ACCESS                KernReturn = 8
	KERN_MEMORY_FAILURE           KernReturn = 9
	KERN_MEMORY_ERROR             KernReturn = 10
	KERN_ALREADY_IN_SET           KernReturn = 11
	KERN_NOT_IN_SET               KernReturn = 12
	KERN_NAME_EXISTS              KernReturn = 13
	KERN_ABORTED                  KernReturn = 14
	KERN_INVALID_NAME             KernReturn = 15
	KERN_INVALID_TASK             KernReturn = 16
	KERN_INVALID_RIGHT            KernReturn = 17
	KERN_INVALID_VALUE            KernReturn = 18
	KERN_UREFS_OVERFLOW           KernReturn = 19
	KERN_INVALID_CAPABILITY       KernReturn = 20
	KERN_RIGHT_EXISTS             KernReturn = 21
	KERN_INVALID_HOST             KernReturn = 22
	KERN_MEMORY_PRESENT           KernReturn = 23
	KERN_MEMORY_DATA_MOVED        KernReturn = 24
	KERN_MEMORY_RESTART_COPY      KernReturn = 25
	KERN_INVALID_PROCESSOR_SET    KernReturn = 26
	KERN_POLICY_LIMIT             KernReturn = 27
	KERN_INVALID_POLICY           KernReturn = 28
	KERN_INVALID_OBJECT           KernReturn = 29
	KERN_ALREADY_WAITING          KernReturn = 30
	KERN_DEFAULT_SET              KernReturn = 31
	KERN_EXCEPTION_PROTECTED      KernReturn = 32
	KERN_INVALID_LEDGER           KernReturn = 33
	KERN_INVALID_MEMORY_CONTROL   KernReturn = 34
	KERN_INVALID_SECURITY         KernReturn = 35
	KERN_NOT_DEPRESSED            KernReturn = 36
	KERN_TERMINATED               KernReturn = 37
	KERN_LOCK_SET_DESTROYED       KernReturn = 38
	KERN_LOCK_UNSTABLE            KernReturn = 39
	KERN_LOCK_OWNED               KernReturn = 40
	KERN_LOCK_OWNED_SELF          KernReturn = 41
	KERN_SEMAPHORE_DESTROYED      KernReturn = 42
	KERN_RPC_SERVER_TERMINATED    KernReturn = 43
	KERN_RPC_TERMINATE_ORPHAN     KernReturn = 44
	KERN_RPC_CONTINUE_ORPHAN      KernReturn = 45
	KERN_NOT_SUPPORTED            KernReturn = 46
	KERN_NODE_DOWN                KernReturn = 47
	KERN_NOT_WAITING              KernReturn = 48
	KERN_OPERATION_TIMED_OUT      KernReturn = 49
	KERN_CODESIGN_ERROR           KernReturn = 50
	KERN_POLICY_STATIC            KernReturn = 51
	KERN_INSUFFICIENT_BUFFER_SIZE KernReturn = 52
	KERN_DENIED                   KernReturn = 53
	KERN_MISSING_KC               KernReturn = 54
	KERN_INVALID_KC               KernReturn = 55
	KERN_NOT_FOUND                KernReturn = 56
)

// Results of generated message code: osfmk/mach/mig_errors.h.
const (
	MIG_TYPE_ERROR      KernReturn = -300
	MIG_REPLY_MISMATCH  KernReturn = -301
	MIG_REMOTE_ERROR    KernReturn = -302
	MIG_BAD_ID          KernReturn = -303
	MIG_BAD_ARGUMENTS   KernReturn = -304
	MIG_NO_REPLY        KernReturn = -305
	MIG_EXCEPTION       KernReturn = -306
	MIG_ARRAY_TOO_LARGE KernReturn = -307
	MIG_SERVER_DIED     KernReturn = -308
	MIG_TRAILER_ERROR   KernReturn = -309
)

// Results of mach_msg: osfmk/mach/message.h.
const (
	MACH_SEND_INVALID_DATA    KernReturn = 0x10000002
	MACH_SEND_INVALID_DEST    KernReturn = 0x10000003
	MACH_SEND_TIMED_OUT       KernReturn = 0x10000004
	MACH_SEND_INVALID_VOUCHER KernReturn = 0x10000005
	MACH_SEND_INTERRUPTED     KernReturn = 0x10000007
	MACH_SEND_MSG_TOO_SMALL   KernReturn = 0x10000008
	MACH_SEND_INVALID_REPLY   KernReturn = 0x10000009
	MACH_SEND_INVALID_RIGHT   KernReturn = 0x1000000a
	MACH_SEND_INVALID_NOTIFY  KernReturn = 0x1000000b
	MACH_SEND_INVALID_MEMORY  KernReturn = 0x1000000c
	MACH_SEND_NO_BUFFER       KernReturn = 0x1000000d
	MACH_SEND_TOO_LARGE       KernReturn = 0x1000000e
	MACH_SEND_INVALID_TYPE    KernReturn = 0x1000000f
	MACH_SEND_INVALID_HEADER  KernReturn = 0x10000010
	MACH_SEND_INVALID_TRAILER KernReturn = 0x10000011
	MACH_SEND_INVALID_OPTIONS KernReturn = 0x10000013
	MACH_SEND_NO_GRANT_DEST   KernReturn = 0x10000016
	MACH_SEND_MSG_FILTERED    KernReturn = 0x10000017

	MACH_RCV_INVALID_NAME    KernReturn = 0x10004002
	MACH_RCV_TIMED_OUT       KernReturn = 0x10004003
	MACH_RCV_TOO_LARGE       KernReturn = 0x10004004
	MACH_RCV_INTERRUPTED     KernReturn = 0x10004005
	MACH_RCV_PORT_CHANGED    KernReturn = 0x10004006
	MACH_RCV_INVALID_NOTIFY  KernReturn = 0x10004007
	MACH_RCV_INVALID_DATA    KernReturn = 0x10004008
	MACH_RCV_PORT_DIED       KernReturn = 0x10004009
	MACH_RCV_IN_SET          KernReturn = 0x1000400a
	MACH_RCV_HEADER_ERROR    KernReturn = 0x1000400b
	MACH_RCV_BODY_ERROR      KernReturn = 0x1000400c
	MACH_RCV_INVALID_TYPE    KernReturn = 0x1000400d
	MACH_RCV_INVALID_TRAILER KernReturn = 0x1000400f
)

// Results of the bootstrap server: servers/bootstrap.h.
const (
	BOOTSTRAP_NOT_PRIVILEGED  KernReturn = 1100
	BOOTSTRAP_NAME_IN_USE     KernReturn = 1101
	BOOTSTRAP_UNKNOWN_SERVICE KernReturn = 1102
	BOOTSTRAP_SERVICE_ACTIVE  KernReturn = 1103
	BOOTSTRAP_BAD_COUNT       KernReturn = 1104
	BOOTSTRAP_NO_MEMORY       KernReturn = 1105
	BOOTSTRAP_NO_CHILDREN     KernReturn = 1106
)

var kernNames = [...]string{
	"KERN_SUCCESS", "KERN_INVALID_ADDRESS", "KERN_PROTECTION_FAILURE", "KERN_NO_SPACE", "KERN_INVALID_ARGUMENT",
	"KERN_FAILURE", "KERN_RESOURCE_SHORTAGE", "KERN_NOT_RECEIVER", "KERN_NO_ACCESS", "KERN_MEMORY_FAILURE",
	"KERN_MEMORY_ERROR", "KERN_ALREADY_IN_SET", "KERN_NOT_IN_SET", "KERN_NAME_EXISTS", "KERN_ABORTED",
	"KERN_INVALID_NAME", "KERN_INVALID_TASK", "KERN_INVALID_RIGHT", "KERN_INVALID_VALUE", "KERN_UREFS_OVERFLOW",
	"KERN_INVALID_CAPABILITY", "KERN_RIGHT_EXISTS", "KERN_INVALID_HOST", "KERN_MEMORY_PRESENT",
	"KERN_MEMORY_DATA_MOVED", "KERN_MEMORY_RESTART_COPY", "KERN_INVALID_PROCESSOR_SET", "KERN_POLICY_LIMIT",
	"KERN_INVALID_POLICY", "KERN_INVALID_OBJECT", "KERN_ALREADY_WAITING", "KERN_DEFAULT_SET",
	"KERN_EXCEPTION_PROTECTED", "KERN_INVALID_LEDGER", "KERN_INVALID_MEMORY_CONTROL", "KERN_INVALID_SECURITY",
	"KERN_NOT_DEPRESSED", "KERN_TERMINATED", "KERN_LOCK_SET_DESTROYED", "KERN_LOCK_UNSTABLE", "KERN_LOCK_OWNED",
	"KERN_LOCK_OWNED_SELF", "KERN_SEMAPHORE_DESTROYED", "KERN_RPC_SERVER_TERMINATED", "KERN_RPC_TERMINATE_ORPHAN",
	"KERN_RPC_CONTINUE_ORPHAN", "KERN_NOT_SUPPORTED", "KERN_NODE_DOWN", "KERN_NOT_WAITING",
	"KERN_OPERATION_TIMED_OUT", "KERN_CODESIGN_ERROR", "KERN_POLICY_STATIC", "KERN_INSUFFICIENT_BUFFER_SIZE",
	"KERN_DENIED", "KERN_MISSING_KC", "KERN_INVALID_KC", "KERN_NOT_FOUND",
}

var migNames = [...]string{
	"MIG_TYPE_ERROR", "MIG_REPLY_MISMATCH", "MIG_REMOTE_ERROR", "MIG_BAD_ID", "MIG_BAD_ARGUMENTS", "MIG_NO_REPLY",
	"MIG_EXCEPTION", "MIG_ARRAY_TOO_LARGE", "MIG_SERVER_DIED", "MIG_TRAILER_ERROR",
}

// A gap in the numbers has no name.
var sendNames = [...]string{
	2: "MACH_SEND_INVALID_DATA", 3: "MACH_SEND_INVALID_DEST", 4: "MACH_SEND_TIMED_OUT", 5: "MACH_SEND_INVALID_VOUCHER",
	7: "MACH_SEND_INTERRUPTED", 8: "MACH_SEND_MSG_TOO_SMALL", 9: "MACH_SEND_INVALID_REPLY", 0xa: "MACH_SEND_INVALID_RIGHT",
	0xb: "MACH_SEND_INVALID_NOTIFY", 0xc: "MACH_SEND_INVALID_MEMORY", 0xd: "MACH_SEND_NO_BUFFER",
	0xe: "MACH_SEND_TOO_LARGE",
	0xf: "MACH_SEND_INVALID_TYPE", 0x10: "MACH_SEND_INVALID_HEADER", 0x11: "MACH_SEND_INVALID_TRAILER",
	0x13: "MACH_SEND_INVALID_OPTIONS", 0x16: "MACH_SEND_NO_GRANT_DEST", 0x17: "MACH_SEND_MSG_FILTERED",
}

var rcvNames = [...]string{
	2: "MACH_RCV_INVALID_NAME", 3: "MACH_RCV_TIMED_OUT", 4: "MACH_RCV_TOO_LARGE", 5: "MACH_RCV_INTERRUPTED",
	6: "MACH_RCV_PORT_CHANGED", 7: "MACH_RCV_INVALID_NOTIFY", 8: "MACH_RCV_INVALID_DATA", 9: "MACH_RCV_PORT_DIED",
	0xa: "MACH_RCV_IN_SET", 0xb: "MACH_RCV_HEADER_ERROR", 0xc: "MACH_RCV_BODY_ERROR", 0xd: "MACH_RCV_INVALID_TYPE",
	0xf: "MACH_RCV_INVALID_TRAILER",
}

var bootstrapNames = [...]string{
	"BOOTSTRAP_NOT_PRIVILEGED", "BOOTSTRAP_NAME_IN_USE", "BOOTSTRAP_UNKNOWN_SERVICE", "BOOTSTRAP_SERVICE_ACTIVE",
	"BOOTSTRAP_BAD_COUNT", "BOOTSTRAP_NO_MEMORY", "BOOTSTRAP_NO_CHILDREN",
}

// String returns the name of kr in its header, or its number in hexadecimal if this package has no name for it.
func (kr KernReturn) String() string {
	in := func(names []string, first KernReturn) string {
		if i := int64(kr) - int64(first); i >= 0 && i < int64(len(names)) {
			return names[i]
		}
		return ""
	}
	name := in(kernNames[:], 0)
	switch {
	case name != "":
	case kr < 0:
		if i := MIG_TYPE_ERROR - kr; i >= 0 && int(i) < len(migNames) {
			name = migNames[i]
		}
	case kr < 0x10000000:
		name = in(bootstrapNames[:], BOOTSTRAP_NOT_PRIVILEGED)
	case kr < 0x10004000:
		name = in(sendNames[:], 0x10000000)
	default:
		name = in(rcvNames[:], 0x10004000)
	}
	if name == "" {
		return errtext.Join("kern_return_t ", errtext.Hex(uint32(kr)))
	}
	return name
}

// Error returns the same as String, so that a KernReturn is an error.
func (kr KernReturn) Error() string { return kr.String() }

// Err returns kr as an error, or nil if it is KERN_SUCCESS.
func (kr KernReturn) Err() error {
	if kr == KERN_SUCCESS {
		return nil
	}
	return kr
}
