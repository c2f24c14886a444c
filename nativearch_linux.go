package minidump

import (
	"runtime"

	"minidump/context"
)

// nativeArch is the architecture of this program itself.
var nativeArch = map[string]context.Arch{
	"386": context.X86, "amd64": context.AMD64, "arm": context.ARM, "arm64": context.ARM64, "mips": context.MIPS,
	"mipsle": context.MIPS, "mips64": context.MIPS64, "mips64le": context.MIPS64, "ppc64": context.PPC64,
	"ppc64le": context.PPC64, "riscv64": context.RISCV64, "s390x": context.S390X, "loong64": context.LOONG64,
}[runtime.GOARCH]
