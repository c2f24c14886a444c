// Package archtest reads on the host the dumps that the tests of the root package and of package run made on a kernel of
// another architecture and left in a folder (by Leave; see arch_linux_test.go there): with the decoder of package stream,
// and with minidump-stackwalk, which no one here wrote. It does that in its test:
//
//	go test ./internal/vm/archtest -args -dumps DIR
//
// Without that argument there is nothing to read, and the test is skipped.
//
// There are kernels in packages for arm64, arm, riscv64, ppc64le, mips64le, mipsle, s390x and loong64. For mips, mips64 and
// ppc64 there is none: their big-endian records are tested byte by byte in package context, and whole dumps of them through
// core files in the root package. minidump-stackwalk has no CPU context for riscv64, s390x, loong64 and our form
// of mips64: there it tells threads, modules and streams, without frames.
package archtest
