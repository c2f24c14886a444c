package minidump

import (
	"runtime"

	"minidump/context"
)

// nativeArch is the architecture of this program itself.
var nativeArch = archOfGo(runtime.GOARCH)

func archOfGo(goarch string) context.Arch {
	switch goarch {
	case "386":
		return context.X86
	case "amd64":
		return context.AMD64
	case "arm":
		return context.ARM
	case "arm64":
		return context.ARM64
	case "mips", "mipsle":
		return context.MIPS
	case "mips64", "mips64le":
		return context.MIPS64
	case "ppc64", "ppc64le":
		return context.PPC64
	case "riscv64":
		return context.RISCV64
	case "s390x":
		return context.S390X
	case "loong64":
		return context.LOONG64
	}
	return context.ArchUnknown
}
