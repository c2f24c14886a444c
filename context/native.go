package context

import "runtime"

// Native is the architecture of the running program itself, ArchUnknown if this package does not know it. It is not to be
// changed.
var Native = archOfGo(runtime.GOARCH)

func archOfGo(goarch string) Arch {
	switch goarch {
	case "386":
		return X86
	case "amd64":
		return AMD64
	case "arm":
		return ARM
	case "arm64":
		return ARM64
	case "mips", "mipsle":
		return MIPS
	case "mips64", "mips64le":
		return MIPS64
	case "ppc64", "ppc64le":
		return PPC64
	case "riscv64":
		return RISCV64
	case "s390x":
		return S390X
	case "loong64":
		return LOONG64
	}
	return ArchUnknown
}
