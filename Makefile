# Common tasks of the project. They require only Go, except those that call .ci/run, which installs what it requires, as root
# on Debian 12.

.PHONY: test quick gate fuzz vm bench

# All tests of this machine, and how many were skipped for each missing tool. One package: make test PKG=./elf
PKG ?= ./...
test:
	go run ./internal/gate test $(PKG)

# Formatting, vet and all tests, with every tool that they can use.
quick:
	.ci/run --quick

# What must pass before a change lands.
gate:
	.ci/run

# Every fuzz test for a while: make fuzz FUZZTIME=5m
FUZZTIME ?= 5s
fuzz:
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

# Real kernels of other architectures, in emulated machines. One of them: make vm ARCH=s390x
vm:
	.ci/run tools vm-setup vm$(addprefix -,$(ARCH))

# Time and allocations, then the comparison with the reference writer and a C program.
bench:
	go test -run '^$$' -bench . -benchmem $(PKG)
	go run ./internal/bench/compare
