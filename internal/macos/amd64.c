// The machine interface for darwin/amd64 programs.
#ifdef __x86_64__
#include "machorun.h"

#include <asm/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc uses FS for its thread; Go for Darwin keeps g at 0x30 in GS.
static __thread struct thread *own;

void use_thread(struct thread *t) {
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, t)) fatal("thread-local storage: %s", strerror(errno));
	own = t;
}

struct thread *own_thread(void) { return own; }

void patch_text(uint32_t *from, uint32_t *to) { (void)from, (void)to; }

__asm__(".text\n"
	"stub_start: lea stub_start(%rip), %r11\n"
	"mov %r11, %gs:768\n mov %rsp, %gs:776\n mov %rbp, %gs:784\n mov %rbx, %gs:792\n"
	"mov %r12, %gs:800\n mov %r13, %gs:808\n mov %r14, %gs:816\n mov %r15, %gs:824\n mov %rdi, %gs:832\n"
	"jmp *stub_target(%rip)\n"
	".balign 8\n stub_target: .quad 0\n stub_end:\n"
	".globl stub_start, stub_target, stub_end\n");

struct state {
	uint64_t rax, rbx, rcx, rdx, rdi, rsi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, cs, fs, gs;
};
_Static_assert(sizeof(struct state) == 4 * STATE_WORDS, "x86_thread_state64_t");

struct exception {
	uint16_t trapno, cpu;
	uint32_t err;
	uint64_t faultvaddr;
};

static const int reg_order[18] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RDI, REG_RSI, REG_RBP, REG_RSP, REG_R8, REG_R9,
	REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_EFL};

uint64_t context_pc(const ucontext_t *u) { return u->uc_mcontext.gregs[REG_RIP]; }

static struct exception exception_of(const greg_t *g) {
	return (struct exception){.trapno = g[REG_TRAPNO], .err = g[REG_ERR], .faultvaddr = g[REG_CR2]};
}

void get_state(const ucontext_t *u, struct thread *t) {
	const greg_t *g = u->uc_mcontext.gregs;
	uint64_t regs[21] = {0};
	for (int r = 0; r < 18; r++) regs[r] = g[reg_order[r]];
	regs[18] = g[REG_CSGSFS] & 0xffff;
	memcpy(t->state, regs, sizeof t->state);
	memset(t->floats, 0, sizeof t->floats);
	if (u->uc_mcontext.fpregs) memcpy((char *)t->floats + 8, u->uc_mcontext.fpregs, 416); // FXSAVE, up to xmm15
	struct exception e = exception_of(g);
	memcpy(t->exception, &e, sizeof e);
}

void get_entry_state(struct thread *t) {
	const uint64_t *e = t->entry;
	struct state s = {.rip = e[0], .rsp = e[1], .rbp = e[2], .rbx = e[3], .r12 = e[4], .r13 = e[5], .r14 = e[6], .r15 = e[7], .rdi = e[8],
		.rflags = 0x246, .cs = 0x2b};
	memcpy(t->state, &s, sizeof s);
}

void note_entry(const ucontext_t *u, struct thread *t) {
	const greg_t *g = u->uc_mcontext.gregs;
	const uint64_t e[] = {g[REG_RIP], g[REG_RSP], g[REG_RBP], g[REG_RBX], g[REG_R12], g[REG_R13], g[REG_R14], g[REG_R15], g[REG_RDI]};
	memcpy(t->entry, e, sizeof e);
}

// A system call of Darwin has its class in the upper byte of its number. Numbers of Linux have no upper byte.
static void caught(int sig, siginfo_t *info, void *context) {
	(void)sig, (void)info;
	ucontext_t *u = context;
	greg_t *g = u->uc_mcontext.gregs;
	int saved = errno;
	struct thread *t = own_thread();
	uint64_t entry[COUNT(t->entry)];
	memcpy(entry, t->entry, sizeof entry);
	note_entry(u, t);
	bool error = false;
	const uint64_t args[6] = {g[REG_RDI], g[REG_RSI], g[REG_RDX], g[REG_R10], g[REG_R8], g[REG_R9]};
	g[REG_RAX] = trap(g[REG_RAX] >> 24 & 0xff, g[REG_RAX] & 0xffffff, args, &error);
	g[REG_EFL] = (g[REG_EFL] & ~1) | error;
	memcpy(t->entry, entry, sizeof entry);
	errno = saved;
}

void catch_traps(void) {
	struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSYS, &sa, NULL);
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff000000),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x01000000, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02000000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {COUNT(filter), filter};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fatal("seccomp: %s", strerror(errno));
}

struct d_mcontext {
	struct exception es;
	uint64_t regs[21];
	char floats[524];
};

struct d_ucontext {
	int32_t onstack;
	uint32_t sigmask;
	uint64_t stack[3], link, mcsize;
	struct d_mcontext *mcontext;
};

// run_handler calls a signal handler of the program. The handler may redirect the thread by changing its registers.
void run_handler(void *handler, int sig, void *info, uint32_t mask, ucontext_t *u) {
	greg_t *g = u->uc_mcontext.gregs;
	struct d_mcontext m = {.es = exception_of(g)};
	for (int r = 0; r < 18; r++) m.regs[r] = g[reg_order[r]];
	m.regs[18] = g[REG_CSGSFS] & 0xffff;
	if (u->uc_mcontext.fpregs) memcpy(m.floats + 8, u->uc_mcontext.fpregs, 416);
	struct d_ucontext d = {.sigmask = mask, .mcsize = sizeof m, .mcontext = &m};
	((void (*)(int, void *, void *))handler)(sig, info, &d);
	for (int r = 0; r < 18; r++) g[reg_order[r]] = m.regs[r];
}

void enter(uint64_t entry, uint64_t *stack, int argc) {
	(void)argc;
	__asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; jmp *%1" ::"r"(stack), "r"(entry) : "memory");
	__builtin_unreachable();
}
#endif
