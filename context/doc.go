// Package context converts raw register sets and signal frames to what a minidump needs: CPU context records and the reason for a
// crash. Its subpackage insn adds what the faulting instruction reveals.
//
//   - [Regsets] encodes the register sets of ptrace or of a core file into the record of its architecture, and returns the
//     registers that the selection of memory uses. [EncodeControl] and [EncodeEmpty] make records of threads whose registers are
//     known in part or not at all.
//   - [Crash] is why a thread died. It is made from a siginfo_t and a ucontext_t ([CrashFromLinux]), from the bytes that the Rust
//     crate crash-context passes ([ParseCrashContext]), or from a signal frame in the memory of a stack ([FindSignalFrame],
//     [Crash.ReadFrame]).
//   - [Decode] reads a record, for tools that show dumps.
//   - The NT_ constants are the types of register sets and of the notes of core files.
//
// The package is pure data transformation: it makes no system call, and does not depend on the machine it runs on (Native names
// the architecture of that machine for callers). Architecture and byte order are values, so a writer on one machine can describe
// a process of another.
package context
