// Package stackwalk finds the frames of a thread's stack, from the registers and the memory in a minidump and, if available,
// the files that the process had loaded. The commands that show dumps call it.
//
// [Process.Walk] moves from each frame to its caller by the first of these methods that works. [Frame].Trust states which one it was:
//
//   - TrustSignal: the signal frame that the kernel pushed has all registers of the interrupted code.
//   - TrustCFI: call frame information, which is DWARF (.eh_frame, .debug_frame), the exception tables of 32-bit ARM
//     (.ARM.exidx), the compact unwind information of Mach-O on amd64 and arm64 (__unwind_info), or the unwind codes of
//     Windows on amd64 and arm64 (.pdata, .xdata).
//   - TrustFramePointer: the chain of frame pointers, or the back chain of PowerPC.
//   - TrustLinkRegister: the return address that is still in a register of the innermost function.
//   - TrustScan: the next word of the stack that can be a return address.
//
// The last three are guesses. A return address found by one of them must be in executable memory and, if the code there is
// available, follow a call instruction. A direct call must lead to the code of the frame below. A walk therefore ends early
// rather than inventing a frame.
//
// A minidump seldom contains code and its tables. Without the files of the modules ([Process].Load) only guesses are
// possible, and their return addresses are not checked against code.
//
// The caller owns everything in the Process. Walk caches what it has read of the modules in the Process, so a Process must
// be used by only one goroutine at a time. Nothing in memory or in a file is trusted: no function panics, and Walk does a
// bounded amount of work. It returns as many frames as it found, and no error. It blocks when Memory, Load and the files do.
//
// Sources: DWARF 5, 6.4 and 2.5; the LSB Core specification, 10.6 (.eh_frame); "Exception Handling ABI for the Arm
// Architecture" (IHI 0038); "DWARF for the Arm 64-bit Architecture" (IHI 0057); the psABI of each architecture for register
// numbers and frame layouts; <mach-o/compact_unwind_encoding.h>; "x64 exception handling" and "ARM64 exception handling" of
// Microsoft; arch/*/kernel/signal*.c of Linux.
package stackwalk
