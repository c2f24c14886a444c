package mach

import "testing"

func TestKernReturn(t *testing.T) {
	for kr, want := range map[KernReturn]string{
		KERN_SUCCESS: "KERN_SUCCESS", KERN_FAILURE: "KERN_FAILURE", KERN_NOT_SUPPORTED: "KERN_NOT_SUPPORTED",
		KERN_NOT_FOUND: "KERN_NOT_FOUND", 57: "kern_return_t 0x39",
		KERN_TERMINATED: "KERN_TERMINATED", KERN_LOCK_OWNED: "KERN_LOCK_OWNED",
		KERN_OPERATION_TIMED_OUT: "KERN_OPERATION_TIMED_OUT",
		MIG_TYPE_ERROR:           "MIG_TYPE_ERROR", MIG_TRAILER_ERROR: "MIG_TRAILER_ERROR", -299: "kern_return_t 0xfffffed5",
		-310: "kern_return_t 0xfffffeca", -1: "kern_return_t 0xffffffff", -1 << 31: "kern_return_t 0x80000000",
		MACH_SEND_INVALID_DEST: "MACH_SEND_INVALID_DEST", 0x10000006: "kern_return_t 0x10000006",
		MACH_SEND_MSG_FILTERED: "MACH_SEND_MSG_FILTERED", 0x10000018: "kern_return_t 0x10000018",
		0x10003fff:         "kern_return_t 0x10003fff",
		MACH_RCV_TIMED_OUT: "MACH_RCV_TIMED_OUT", MACH_RCV_PORT_DIED: "MACH_RCV_PORT_DIED",
		MACH_RCV_INVALID_TRAILER: "MACH_RCV_INVALID_TRAILER",
		0x7fffffff:               "kern_return_t 0x7fffffff", BOOTSTRAP_UNKNOWN_SERVICE: "BOOTSTRAP_UNKNOWN_SERVICE",
		1107: "kern_return_t 0x453",
	} {
		if got := kr.Error(); got != want {
			t.Errorf("%d: %s, want %s", int32(kr), got, want)
		}
	}
	if KERN_SUCCESS.Err() != nil || KERN_FAILURE.Err() != error(KERN_FAILURE) {
		t.Error("Err")
	}
}
