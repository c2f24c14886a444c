// Package archtest reads on the host the dumps that tests made on a kernel of another architecture and left in a folder. The
// tests of the root package and of package run do that (by Leave; see arch_linux_test.go there). It reads them with the
// decoder of package stream and with minidump-stackwalk, a reader of another project. It does that in its test:
//
//	go test ./internal/vm/archtest -args -dumps DIR
//
// Without that argument there is nothing to read, and the test is skipped.
//
// The tests run on kernels of arm64, arm, riscv64, ppc64, ppc64le, mips64, mips64le, mips, mipsle, s390x and loong64; those of
// arm64, ppc64, mips64 and mips64le also run programs of arm, of 32-bit powerpc, of mips and of mipsle. minidump-stackwalk
// reads dumps in both byte orders. It has no CPU context for riscv64, s390x, loong64 and our form of mips64: for those it
// shows threads, modules and streams, without frames.
package archtest
