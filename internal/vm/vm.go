// Package vm is the contract between govm, which starts a virtual machine, and guestinit, which is the machine's first process.
//
// qemu-user does not support ptrace, so Linux code of other architectures is tested on a real kernel of that
// architecture under qemu-system. The script setup in this folder downloads the kernels and builds the guest's init:
//
//	internal/vm/setup arm64 s390x
//	CGO_ENABLED=0 GOARCH=arm64 go test -exec "$HOME/.cache/govm/govm arm64" ./ptrace
//
// A run costs 2 to 10 seconds. govm's doc comment lists its environment variables.
package vm

// Names of the virtio-serial ports between host and guest, and of the file in the guest's root that contains a Config.
const (
	PortStdout = "govm.out" // the binary's standard output
	PortStderr = "govm.err" // the binary's standard error
	PortReport = "govm.ctl" // Reports, one JSON object a line
	PortOutput = "govm.tar" // a tar archive of the guest's /out, sent after the binary has ended

	ConfigFile = "govm.json"
)

// Config tells guestinit what to run.
type Config struct {
	Argv []string // Argv[0] is an absolute path in the guest
	Env  []string // K=V
	Dir  string   // working folder
	UID  int      // user and group id to run as
	Now  int64    // the host's Unix time in seconds, for guests without a clock
}

// Events of a Report.
const (
	EventStart = "start"
	EventExit  = "exit"
)

// Exit statuses of govm that are not the binary's own.
const (
	ExitTimeout    = 124
	ExitVMFailed   = 125
	ExitExecFailed = 126
	ExitSignal     = 128 // plus the number of the signal that killed the binary
)

// SuiteMark begins the lines that internal/vm/suite prints between the output of test binaries; the rest of the line is
// a SuiteEvent as JSON.
const SuiteMark = "\x1esuite "

// SuiteEvent says that the test binary of a package was started or has ended.
type SuiteEvent struct {
	Package string
	Event   string  // EventStart or EventExit
	Exit    int     // exit status, as of a Report
	Seconds float64 // how long it ran
}

// Report is what guestinit reports to govm.
type Report struct {
	Event  string
	Exit   int     // exit status of the binary, or one of the constants above
	Kernel string  // /proc/version
	Uptime float64 // seconds since the guest's kernel started
	Msg    string  // what went wrong in the guest; empty if nothing did
}
