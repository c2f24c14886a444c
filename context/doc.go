// Package context converts raw register sets and signal frames into what a minidump needs: CPU context records and the
// reason of a crash. Package insn below it adds what the faulting instruction reveals.
//
//   - [Regsets] encodes the register sets of ptrace or of a core file into the record of its architecture, and reads the
//     registers that a memory selection looks at. [EncodeControl] and [EncodeEmpty] make records of threads whose registers
//     are known in part or not at all.
//   - [Crash] is why a thread died, made of a siginfo_t and a ucontext_t ([CrashFromLinux]), of the bytes that the Rust crate
//     crash-context passes ([ParseCrashContext]), or of a signal frame in the memory of a stack ([FindSignalFrame],
//     [Crash.ReadFrame]).
//   - [Decode] reads a record, for tools that show dumps.
//   - The NT_ constants are the types of register sets and of the notes of core files.
//
// It is pure data transformation: it makes no system call, and does not depend on the machine it runs on, whose architecture
// Native names for others. Architecture and byte order are values, so a writer on one machine can describe a process of
// another.
package context
