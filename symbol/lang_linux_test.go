package symbol

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const cxxProgram = `#include <map>
#include <string>
#include <vector>
#include <cstdio>
#include <cstdlib>
namespace geo {
template <class T> struct Point { T x, y; T norm() const { return x * x + y * y; } };
static inline int scale(int v) { return v * rand(); }
struct Shape { virtual ~Shape() {} virtual int area(const std::string &unit) = 0; };
struct Square : Shape {
	int side;
	Square(int s) : side(scale(s)) {}
	int area(const std::string &unit) override { return side * side + (int)unit.size(); }
};
}
namespace { int hidden(const std::map<std::string, int> &m) { int n = 0; for (auto &p : m) n += p.second + (int)p.first.size(); return n; } }
int main(int argc, char **argv) {
	std::map<std::string, int> m;
	std::vector<geo::Point<double>> points;
	for (int i = 0; i < argc; i++) { m[argv[i]] = i; points.push_back({1.0 * i, 2}); }
	auto add = [&](int k) { return k + hidden(m) + (int)points[0].norm(); };
	geo::Shape *s = new geo::Square(argc);
	printf("%d %d\n", add(3), s->area("m"));
	delete s;
	return 0;
}
`

const rustProgram = `use std::collections::HashMap;
trait Shape { fn area(&self, n: i32) -> i32; }
struct Square { side: i32 }
impl Shape for Square { fn area(&self, n: i32) -> i32 { small(self.side) * n } }
#[inline(always)]
fn small(x: i32) -> i32 { x * x + std::env::args().count() as i32 }
#[inline(never)]
fn generic<T: std::fmt::Debug>(x: &[T]) -> String { x.iter().map(|v| format!("{:?}", v)).collect() }
fn main() {
	let mut m: HashMap<String, i32> = HashMap::new();
	for (i, a) in std::env::args().enumerate() { m.insert(a, i as i32); }
	let s: Box<dyn Shape> = Box::new(Square { side: m.len() as i32 });
	println!("{} {}", s.area(2), generic(&[1, 2, 3]));
}
`

// TestLanguages compares addresses of C++ and Rust programs with the output of addr2line and llvm-addr2line.
func TestLanguages(t *testing.T) {
	for name, c := range map[string]struct {
		compiler, source string
		flags            []string
	}{
		"C++":         {"g++", cxxProgram, []string{"-O0", "-g", "-Wl,--build-id"}},
		"C++ O2":      {"g++", cxxProgram, []string{"-O2", "-g", "-Wl,--build-id"}},
		"C++ dwarf4":  {"g++", cxxProgram, []string{"-O2", "-gdwarf-4", "-fdebug-types-section", "-Wl,--build-id"}},
		"Rust":        {"rustc", rustProgram, []string{"-g", "-Clink-arg=-Wl,--build-id"}},
		"Rust O":      {"rustc", rustProgram, []string{"-g", "-O", "-Clink-arg=-Wl,--build-id"}},
		"Rust v0":     {"rustc", rustProgram, []string{"-g", "-O", "-Csymbol-mangling-version=v0", "-Clink-arg=-Wl,--build-id"}},
		"Rust dwarf5": {"rustc", rustProgram, []string{"-g", "-O", "-Cdwarf-version=5", "-Clink-arg=-Wl,--build-id"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := compile(t, c.compiler, c.source, c.flags...)
			start := time.Now()
			table := load(t, Sources{}, moduleOf(t, path))
			addrs, base := codeAddresses(t, path, 1<<16)
			table.Lookup(addrs[len(addrs)/2] - base)
			t.Logf("load and one lookup: %v", time.Since(start))
			step := uint64(3)
			if c.compiler == "rustc" {
				step = 37
			}
			start = time.Now()
			equal, all := compare(t, table, path, step, "addr2line", "llvm-addr2line")
			t.Logf("%d of %d are equal, %v", equal, all, time.Since(start))
			if equal < all*97/100 {
				t.Errorf("only %d of %d addresses are equal", equal, all)
			}
		})
	}
}

// TestLarge measures the first lookup in large files.
func TestLarge(t *testing.T) {
	home, _ := os.UserHomeDir()
	paths, _ := filepath.Glob(filepath.Join(home, ".rustup/toolchains/stable*/lib/librustc_driver-*.so"))
	paths = append(paths, "/usr/local/go/bin/go", "/usr/local/bin/terraform", "/usr/bin/node", "/usr/lib/x86_64-linux-gnu/libLLVM-15.so.1")
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			info, err := os.Stat(path)
			if err != nil {
				t.Skipf("%s is missing", path)
			}
			addrs, base := codeAddresses(t, path, 1<<20)
			start := time.Now()
			s := mapped(path)
			table, err := s.Load(Module{})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			loaded := time.Since(start)
			frames := table.Lookup(addrs[len(addrs)/2] + 100 - base)
			t.Logf("%d MB: load %v, with one lookup %v, %+v", info.Size()>>20, loaded, time.Since(start), frames)
			start = time.Now()
			for _, a := range addrs {
				table.Lookup(a - base)
			}
			t.Logf("%d more lookups %v", len(addrs), time.Since(start))
		})
	}
}

// TestLibc compares addresses of the C library, whose debug information is in /usr/lib/debug if its package is installed.
func TestLibc(t *testing.T) {
	const path = "/usr/lib/x86_64-linux-gnu/libc.so.6"
	if _, err := os.Stat(path); err != nil {
		t.Skip("libc.so.6 is missing")
	}
	m := moduleOf(t, path)
	start := time.Now()
	table := load(t, Sources{}, m)
	table.Lookup(0x30000)
	t.Logf("load and one lookup: %v, notes %q", time.Since(start), table.Notes())
	reference := path
	if table.DebugELF() != nil {
		reference = "/usr/lib/debug/.build-id/" + buildIDPath(m.BuildID) + ".debug"
	}
	start = time.Now()
	equal, all := compare(t, table, reference, 61, "addr2line", "llvm-addr2line")
	t.Logf("%d of %d are equal, %v", equal, all, time.Since(start))
	if table.DebugELF() != nil && equal < all*94/100 {
		t.Errorf("only %d of %d addresses are equal", equal, all)
	}
}
