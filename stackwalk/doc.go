// Package stackwalk finds the frames of a thread's stack, from the registers and the memory in a minidump and, where they
// are at hand, the files that the process had loaded. The commands that show dumps call it.
//
// [Process.Walk] goes from each frame to its caller by the first of these ways that works. [Frame].Trust states which one
// it was:
//
//   - TrustSignal: the frame that the kernel pushed for a signal handler has all registers of the interrupted code.
//   - TrustCFI: call frame information, which is DWARF (.eh_frame, .debug_frame), the exception tables of 32-bit ARM
//     (.ARM.exidx), the compact unwind information of Mach-O on amd64 and arm64 (__unwind_info), or the unwind codes of
//     Windows on amd64 and arm64 (.pdata, .xdata).
//   - TrustFramePointer: the chain of frame pointers, or the back chain of PowerPC.
//   - TrustLinkRegister: the return address that the innermost function has still in a register.
//   - TrustScan: the next word of the stack that can be a return address.
//
// The last three are guesses. A return address that one of them finds must be in executable memory and, if the code there is
// at hand, follow a call instruction. A direct call must lead to the code of the frame below. So a walk rather ends than
// invents a frame.
//
// A minidump seldom has code and its tables in memory. Without the files of the modules ([Process].Load) only guesses are
// left, and their return addresses are not checked against code.
//
// Everything in the Process is the caller's. Walk keeps what it has read of the modules in the Process, so one Process
// serves one goroutine at a time. Nothing in memory or in a file is trusted: no function panics, and Walk does a bounded
// amount of work. It returns as many frames as it found, with no error. It blocks as long as Memory, Load and the files do.
//
// Sources: DWARF 5, 6.4 and 2.5; the LSB Core specification, 10.6 (.eh_frame); "Exception Handling ABI for the Arm
// Architecture" (IHI 0038); "DWARF for the Arm 64-bit Architecture" (IHI 0057); the psABI of each architecture for register
// numbers and frame layouts; <mach-o/compact_unwind_encoding.h>; "x64 exception handling" and "ARM64 exception handling" of
// Microsoft; arch/*/kernel/signal*.c of Linux.
package stackwalk
