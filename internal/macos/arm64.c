// The machine interface for darwin/arm64 programs.
#ifdef __aarch64__
#include "machorun.h"

#include <unistd.h>

// Go keeps g in a slot that pthread_setspecific sets, and finds the slot by searching for a value after the thread pointer, which
// is TPIDRRO_EL0 on Darwin and TPIDR_EL0 on Linux.
static __thread struct thread *own;
__thread void *volatile thread_slots[16];

static uint64_t own_offset; // of own, from the thread pointer

void use_thread(struct thread *t) {
	own_offset = (uint64_t)((char *)&own - (char *)__builtin_thread_pointer());
	own = t;
}

struct thread *own_thread(void) { return own; }

// A Mach trap is replaced by a breakpoint, because Linux would interpret SVC as its own system call.
void patch_text(uint32_t *from, uint32_t *to) {
	for (uint32_t *w = from; w < to; w++) {
		if ((*w & 0xffffffe0) == 0xd53bd060) *w = (*w & 0x1f) | 0xd53bd040; // mrs xN, tpidrro_el0: tpidr_el0
		if (*w == 0xd4001001) *w = 0xd4201000;                              // svc #0x80: brk #0x80
	}
}

// The offset of own is the word after the stub's target.
__asm__(".text\n"
	"stub_start: mrs x16, tpidr_el0\n"
	"ldr x17, stub_offset\n"
	"ldr x16, [x16, x17]\n"
	"add x16, x16, #768\n"
	"adr x17, stub_start\n"
	"str x17, [x16]\n"
	"mov x17, sp\n"
	"str x17, [x16, #8]\n"
	"stp x29, x30, [x16, #16]\n"
	"stp x19, x20, [x16, #32]\n stp x21, x22, [x16, #48]\n stp x23, x24, [x16, #64]\n"
	"stp x25, x26, [x16, #80]\n stp x27, x28, [x16, #96]\n str x0, [x16, #112]\n"
	"ldr x16, stub_target\n"
	"br x16\n"
	".balign 8\n stub_target: .quad 0\n stub_offset: .quad 0\n stub_end:\n"
	".globl stub_start, stub_target, stub_offset, stub_end\n");

uint64_t stub_own_offset(void) { return own_offset; }

struct state {
	uint64_t x[29], fp, lr, sp, pc;
	uint32_t cpsr, flags;
};
_Static_assert(sizeof(struct state) == 4 * STATE_WORDS, "arm_thread_state64_t");

struct exception {
	uint64_t far;
	uint32_t esr, exception;
};

// record returns the record of the kernel's signal frame with the given magic number, or NULL.
static const void *record(const ucontext_t *u, uint32_t magic) {
	const uint8_t *p = u->uc_mcontext.__reserved, *end = p + sizeof u->uc_mcontext.__reserved;
	while (p + 8 <= end) {
		uint32_t m, n;
		memcpy(&m, p, 4), memcpy(&n, p + 4, 4);
		if (m == magic) return p;
		if (!m || n < 8) return NULL;
		p += n;
	}
	return NULL;
}

uint64_t context_pc(const ucontext_t *u) { return u->uc_mcontext.pc; }

static struct exception exception_of(const ucontext_t *u) {
	struct exception e = {.far = u->uc_mcontext.fault_address};
	const uint8_t *p = record(u, 0x45535201); // ESR_MAGIC of asm/sigcontext.h
	if (p) memcpy(&e.esr, p + 8, sizeof e.esr);
	return e;
}

static struct state state_of(const ucontext_t *u) {
	struct state s = {.fp = u->uc_mcontext.regs[29], .lr = u->uc_mcontext.regs[30], .sp = u->uc_mcontext.sp,
		.pc = u->uc_mcontext.pc, .cpsr = u->uc_mcontext.pstate};
	memcpy(s.x, u->uc_mcontext.regs, sizeof s.x);
	return s;
}

static void floats_of(const ucontext_t *u, void *to) { // struct fpsimd_context: fpsr, fpcr, then the registers
	const uint8_t *p = record(u, 0x46508001);
	memset(to, 0, 520);
	if (!p) return;
	memcpy(to, p + 16, 512);
	memcpy((char *)to + 512, p + 8, 8);
}

void get_state(const ucontext_t *u, struct thread *t) {
	struct state s = state_of(u);
	memcpy(t->state, &s, sizeof s);
	memset(t->floats, 0, sizeof t->floats);
	floats_of(u, t->floats);
	struct exception e = exception_of(u);
	memcpy(t->exception, &e, sizeof e);
}

void get_entry_state(struct thread *t) {
	const uint64_t *e = t->entry;
	struct state s = {.pc = e[0], .sp = e[1], .fp = e[2], .lr = e[3]};
	memcpy(s.x + 19, e + 4, 10 * sizeof *e);
	s.x[0] = e[14];
	memcpy(t->state, &s, sizeof s);
}

void note_entry(const ucontext_t *u, struct thread *t) {
	t->entry[0] = u->uc_mcontext.pc, t->entry[1] = u->uc_mcontext.sp;
	t->entry[2] = u->uc_mcontext.regs[29], t->entry[3] = u->uc_mcontext.regs[30];
	memcpy(t->entry + 4, u->uc_mcontext.regs + 19, 10 * sizeof *t->entry);
	t->entry[14] = u->uc_mcontext.regs[0];
}

void (*breakpoint)(int sig, siginfo_t *info, void *context); // handles the program's own breakpoints

static void caught(int sig, siginfo_t *info, void *context) {
	ucontext_t *u = context;
	uint64_t *x = (uint64_t *)u->uc_mcontext.regs;
	if (*(uint32_t *)u->uc_mcontext.pc != 0xd4201000) {
		breakpoint(sig, info, context);
		return;
	}
	int saved = errno;
	struct thread *t = own_thread();
	uint64_t entry[COUNT(t->entry)];
	memcpy(entry, t->entry, sizeof entry);
	note_entry(u, t);
	bool error = false;
	long number = (long)x[16];
	x[0] = trap(number < 0 ? 1 : 2, number < 0 ? -number : number, x, &error);
	u->uc_mcontext.pstate = (u->uc_mcontext.pstate & ~0x20000000ul) | (error ? 0x20000000 : 0); // the carry flag
	u->uc_mcontext.pc += 4;
	memcpy(t->entry, entry, sizeof entry);
	errno = saved;
}

void catch_traps(void) {
	struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGTRAP, &sa, NULL);
}

struct d_mcontext {
	struct exception es;
	struct state ss;
	uint8_t ns[528] __attribute__((aligned(16)));
};

struct d_ucontext {
	int32_t onstack;
	uint32_t sigmask;
	uint64_t stack[3], link, mcsize;
	struct d_mcontext *mcontext;
};

// run_handler calls a signal handler of the program. The handler may redirect the thread by changing its registers.
void run_handler(void *handler, int sig, void *info, uint32_t mask, ucontext_t *u) {
	struct d_mcontext m = {.es = exception_of(u), .ss = state_of(u)};
	floats_of(u, m.ns);
	struct d_ucontext d = {.sigmask = mask, .mcsize = sizeof m, .mcontext = &m};
	((void (*)(int, void *, void *))handler)(sig, info, &d);
	memcpy(u->uc_mcontext.regs, m.ss.x, sizeof m.ss.x);
	u->uc_mcontext.regs[29] = m.ss.fp, u->uc_mcontext.regs[30] = m.ss.lr;
	u->uc_mcontext.sp = m.ss.sp, u->uc_mcontext.pc = m.ss.pc, u->uc_mcontext.pstate = m.ss.cpsr;
}

void enter(uint64_t entry, uint64_t *stack, int argc) {
	register uint64_t x0 __asm__("x0") = argc, x1 __asm__("x1") = (uint64_t)(stack + 1), x2 __asm__("x2") = (uint64_t)(stack + argc + 2);
	__asm__ volatile("mov sp, %0; mov x29, xzr; br %1" ::"r"(stack), "r"(entry), "r"(x0), "r"(x1), "r"(x2) : "memory");
	__builtin_unreachable();
}
#endif
