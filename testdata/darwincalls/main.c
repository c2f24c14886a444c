// A program for macOS with different kinds of frames, whose innermost function reads from address 0x88: see TestCompactUnwind. The
// functions of libSystem are in variables, because the loader of the tests binds nothing lazily.
extern long write(int, const void *, unsigned long);
extern long read(int, void *, unsigned long);
static long (*volatile out)(int, const void *, unsigned long) = write;
static long (*volatile in)(int, void *, unsigned long) = read;

#define FUNCTION __attribute__((noinline)) long

FUNCTION fault(long a, volatile int *p) {
	volatile long x[30];
	x[a] = a;
	return x[a] + *p;
}

FUNCTION with_alloca(long n, volatile int *p) {
	volatile char *x = __builtin_alloca(n);
	x[n / 2] = 1;
	return fault(n % 30, p) + x[n / 2];
}

FUNCTION large(long n, volatile int *p) {
	volatile char x[70000];
	x[n] = n;
	return with_alloca(n, p) + x[n];
}

FUNCTION saves(long a, long b, long c, long d, long e, volatile int *p) {
	long r = 0;
	for (long i = 0; i < 2; i++) r += large(a + i, p) * b + c * i - d / (e + 1) + r * a;
	return r ^ a ^ b ^ c ^ d ^ e;
}

FUNCTION deep(long n, volatile int *p) {
	volatile long x[4] = {n, n + 1, n + 2, n + 3};
	return (n ? deep(n - 1, p) : saves(n + 100, n, n + 1, n + 2, n + 3, p)) + x[n & 3];
}

int main(int argc, char **argv) {
	char b;
	out(1, "ready\n", 6);
	in(0, &b, 1);
	return deep(5, (volatile int *)0x88) + argc;
}
