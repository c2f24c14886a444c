package crash

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/context"
	"minidump/internal/scratch"
	target "minidump/internal/windows"
	"minidump/stream"
)

// moduleVariable is the path of the module for victims of these tests.
const moduleVariable = "MINIDUMP_CRASH_MODULE"

// werInformation is WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h of the SDK of Windows 10), whose EXCEPTION_RECORD and CONTEXT
// follow each other.
type werInformation struct {
	size            uint32
	process, thread uintptr
	record          exceptionRecord
	context         [contextSize]byte
	report          uintptr
	fatal, reserved uint32
}

// contextSize is the size of a CONTEXT (winnt.h).
var contextSizes = map[string]int{"amd64": 1232, "386": 716, "arm64": 912}
