// Declarations shared by the parts of machorun: see loader.c.
#ifndef MACHORUN_H
#define MACHORUN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <ucontext.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

// Errors.

void fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

extern __thread int d_errno; // the program's errno
int darwin_errno(int e);
int fails(int darwin); // sets d_errno, returns -1

enum { D_ENOENT = 2, D_ESRCH = 3, D_ENOMEM = 12, D_EINVAL = 22, D_ENOTTY = 25, D_ENOSYS = 78 };

// R returns the result of a function that sets errno. After an error it sets the program's errno.
#define R(call) ({ long r_ = (long)(call); if (r_ == -1) d_errno = darwin_errno(errno); r_; })

#define PASS(name, parameters, arguments) \
	static long s_##name parameters { return R(name arguments); }

// Imports: each part of machorun has a table of what it implements. data marks an address that is not a function.

struct import {
	const char *name;
	void *address;
	bool data;
};

#define S(name) {"_" #name, s_##name, false}
#define G(name) {"_" #name, name, false}

extern const struct import loader_imports[], kernel_imports[], process_imports[], socket_imports[];

// Machine: amd64.c, arm64.c.

#ifdef __x86_64__
#define CPU_TYPE 0x01000007
#define TRAP_SIGNAL SIGSYS
#define PAGE 4096
#define THREAD_STATE 4
#define FLOAT_STATE 5
#define EXCEPTION_STATE 6
#define STATE_WORDS 42
#define FLOAT_WORDS 131
#else
#define CPU_TYPE 0x0100000c
#define TRAP_SIGNAL SIGTRAP
#define PAGE 16384
#define THREAD_STATE 6
#define FLOAT_STATE 17
#define EXCEPTION_STATE 7
#define STATE_WORDS 68
#define FLOAT_WORDS 132
#endif
#define EXCEPTION_WORDS 4

struct thread;

// The imports of the program are bound to stubs. A stub saves the registers in thread.entry and jumps to its target.
extern const uint8_t stub_start[], stub_target[], stub_end[];

void use_thread(struct thread *t);             // sets the calling OS thread's struct thread
struct thread *own_thread(void);               // NULL before use_thread
void patch_text(uint32_t *from, uint32_t *to); // replaces instructions that have another meaning on Linux
void catch_traps(void);                        // makes the program's system calls and Mach traps call trap
uint64_t context_pc(const ucontext_t *u);
void get_state(const ucontext_t *u, struct thread *t); // the registers at a signal, in Darwin's layouts
void get_entry_state(struct thread *t);                // the registers of a thread in a function of libSystem
void note_entry(const ucontext_t *u, struct thread *t); // the same for a thread in a trap
void run_handler(void *handler, int sig, void *info, uint32_t mask, ucontext_t *u);
void enter(uint64_t entry, uint64_t *stack, int argc) __attribute__((noreturn));

// trap executes a system call: class 1 is a Mach trap, class 2 a BSD call. It returns the value, and sets error if that is an error.
long trap(int class, long number, const uint64_t args[6], bool *error);

// What a process shares with others: a file in memory, open as SHARED_FD, that contains all of its threads.

#define SHARED_FD 1000 // descriptors from this one on are the loader's own, and are not in any list
#define ADDRESS 64     // size of the name of a port's socket

struct thread {
	uint64_t tls[96];   // amd64: GS points here; Go keeps g at 0x30
	uint64_t entry[16]; // at 768: PC, SP, FP, other callee-saved registers and the first argument at the last call of libSystem
	_Atomic uint32_t tid;       // 0: no thread
	_Atomic uint32_t suspended; // suspend count of thread_suspend
	_Atomic uint32_t stopped;   // 1: the thread waits, and state, floats and exception are its registers
	bool faulted;               // the thread has raised an exception and waits for the reply
	uint64_t stack_low, stack_high;
	uint64_t handle; // its address in its own process, which THREAD_IDENTIFIER_INFO returns as the thread pointer
	char name[64];
	uint32_t state[STATE_WORDS];
	uint32_t floats[FLOAT_WORDS];
	uint32_t exception[EXCEPTION_WORDS];
} __attribute__((aligned(4096)));
_Static_assert(offsetof(struct thread, entry) == 768, "the stubs know it");

struct exception_port {
	char address[ADDRESS]; // empty: none
	uint32_t behavior, flavor;
};

struct segment_shown {
	uint64_t start, end;
	int protection;
};

struct shared {
	char path[1024]; // of the program
	_Atomic uint32_t suspended; // suspend count of task_suspend
	_Atomic uint32_t suspender; // the last process that called task_suspend: the suspension ends with that process
	_Atomic uint32_t wake;      // changes when something is resumed
	struct exception_port ports[14];
	struct segment_shown segments[24];
	int segment_count;
	struct thread threads[256] __attribute__((aligned(4096)));
};

extern struct shared *shared;

void share(const char *path);
struct thread *new_thread(void); // adds the calling thread to the table
void end_thread(void);
void after_fork(void);
char *ports_text(void);              // the exception ports as an environment variable, which execve passes on
void ports_from_text(char **environment); // removes that variable, and sets the ports
bool in_program(uint64_t pc);
void show_segment(uint64_t start, uint64_t end, int protection);

// Exceptions: raise_exception calls the task's handler, and reports whether the handler lets the thread continue. u may be NULL.
bool raise_exception(uint32_t type, uint64_t code, uint64_t subcode, const ucontext_t *u);
enum { EXC_BAD_ACCESS = 1, EXC_BAD_INSTRUCTION, EXC_ARITHMETIC, EXC_SOFTWARE = 5, EXC_BREAKPOINT, EXC_CRASH = 10 };

// kernel.c: Mach traps.
long mach_trap(long number, const uint64_t args[6]);

// images.c: what dyld would have loaded. stub makes a stub for an import, in the text of libSystem.
void make_images(const void *program);
void finish_images(void);
void *stub(void *target);
uint64_t image_infos(void);
bool in_libsystem(uint64_t pc);
enum { CACHE = 0x180000000, CACHE_SIZE = 0x1000000 }; // address range of dyld's shared cache, which is a submap of the task's map
uint64_t image_infos_size(void);

// Numbers and limits of Linux and Darwin that several parts use.
int darwin_signal(int l);
bool is_small(int fd); // whether fd is a socket with a small buffer, for which write_small must be used
long write_small(int fd, const uint8_t *p, size_t n, bool wait);
int path_of_fd(pid_t pid, int fd, char *path, size_t room);

#endif
