package symbol

import (
	"testing"

	"minidump/internal/victims"
)

const program = `#include <stdio.h>
#include <stdlib.h>
static int deepest(int x) { return x * rand() + 3; }
static inline __attribute__((always_inline)) int middle(int x) {
	int sum = 0;
	for (int i = 0; i < x; i++)
		sum += deepest(i) / (x + 1);
	return sum;
}
struct point { int x, y; };
__attribute__((noinline)) int outer(struct point *p, int n) {
	int sum = middle(p->x);
	if (n > 100) {
		puts("rare");
		abort();
	}
	return sum + middle(p->y + n);
}
__attribute__((noinline)) static int twice(int n) { return n * 2 + rand(); }
int main(int argc, char **argv) {
	struct point p = { argc, twice(argc) };
	printf("%d\n", outer(&p, argc));
	return 0;
}
`

// TestDWARF compares all addresses of programs with the output of addr2line.
func TestDWARF(t *testing.T) {
	for name, flags := range map[string][]string{
		"O0":      {"-O0", "-g"},
		"O2":      {"-O2", "-g"},
		"O3":      {"-O3", "-g3"},
		"g1":      {"-O2", "-g1"},
		"dwarf2":  {"-O2", "-gdwarf-2"},
		"dwarf3":  {"-O2", "-gdwarf-3"},
		"dwarf4":  {"-O2", "-gdwarf-4"},
		"dwarf5":  {"-O2", "-gdwarf-5"},
		"gz":      {"-O2", "-g", "-gz"},
		"gz-gnu":  {"-O2", "-g", "-gz=zlib-gnu"},
		"no-pie":  {"-O2", "-g", "-no-pie"},
		"dwarf64": {"-O2", "-gdwarf64"},
		"lto":     {"-O2", "-g", "-flto"},
		"parts":   {"-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections", "-freorder-blocks-and-partition"},
	} {
		t.Run(name, func(t *testing.T) {
			path := compile(t, "gcc", program, append(flags, "-Wl,--build-id")...)
			table := load(t, Sources{}, moduleOf(t, path))
			reference := path
			if name == "gz-gnu" { // which addr2line can't read
				reference = path + ".plain"
				run(t, victims.Tool(t, "objcopy"), "--decompress-debug-sections", path, reference)
			}
			equal, all := compare(t, table, reference, 1, "addr2line")
			t.Logf("%d of %d addresses are equal", equal, all)
			if equal < all {
				t.Errorf("only %d of %d addresses are equal", equal, all)
			}
		})
	}
}
