// Functions whose frames differ, for images of macOS: see TestCompactLinked. They call nothing by name, so that the image needs no
// other one.
typedef long (*function)(long);

long leaf(long a, long b) { return a * b + 7; }

long small(long a, function g) {
	volatile long x[4];
	x[0] = g((long)x);
	return x[0] + a;
}

long saves(long a, long b, long c, long d, long e, long f, function g) {
	long r = 0;
	for (long i = 0; i < a; i++) r += g(i + b) * c + d - g(e ^ f) + a * b;
	return r;
}

long large(long a, function g) {
	volatile char x[5000];
	x[a] = a;
	x[a + 1] = g((long)x);
	return x[a] + g(a + 1);
}

long huge(long a, long b, long c, function g) {
	volatile char x[300000];
	x[a] = a;
	x[a + 1] = g((long)x) + b;
	return x[b] + g(a + c) * b;
}

long dynamic(long a, function g) {
	volatile char *x = __builtin_alloca(a);
	x[1] = g((long)x);
	return g(x[a - 1]) + a;
}

double floats(double a, double b, double (*g)(double)) { return g(a) * g(b) + a * b; }

long leaf_with_array(long a) {
	volatile long x[20];
	for (int i = 0; i < 20; i++) x[i] = a * i;
	return x[a % 20];
}

long leaf_that_saves(long *a) {
	__asm__ volatile("" ::: "cc", "memory");
	long b = a[0], c = a[1], d = a[2], e = a[3], f = a[4], g = a[5], h = a[6], i = a[7], j = a[8], k = a[9], l = a[10], m = a[11];
	for (long n = 0; n < b; n++) {
		b ^= c + n, c ^= d + n, d ^= e + n, e ^= f + n, f ^= g + n, g ^= h + n, h ^= i + n, i ^= j + n, j ^= k + n, k ^= l + n,
			l ^= m + n, m ^= b;
		a[n] = b + c + d + e + f + g + h + i + j + k + l + m;
	}
	return b + c + d + e + f + g + h + i + j + k + l + m;
}
