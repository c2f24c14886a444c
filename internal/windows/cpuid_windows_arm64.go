package windows

import "minidump/stream"

// x86CPU reports that this is another processor.
func x86CPU(*stream.X86CPU) bool { return false }
