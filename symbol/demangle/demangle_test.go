package demangle

import (
	"strings"
	"testing"
	"time"
)

// names lists mangled names with the output of c++filt -i; if the second text is empty, the name is returned unchanged.
var names = [][2]string{
	{"main", ""},
	{"_Z", ""},
	{"_Z1", ""},
	{"_Z3foov", "foo()"},
	{"_Z3fooi", "foo(int)"},
	{"_Z3fooiX", ""},
	{"_ZN3foo3barEv", "foo::bar()"},
	{"_ZNK3foo3barEi", "foo::bar(int) const"},
	{"_ZNKR3foo3barEv", "foo::bar() const &"},
	{"_ZN3fooC1ERKS_", "foo::foo(foo const&)"},
	{"_ZN3fooD0Ev", "foo::~foo()"},
	{"_Z3fooPFvicE", "foo(void (*)(int, char))"},
	{"_Z3fooRA10_KcS1_", "foo(char const (&) [10], char const (&) [10])"},
	{"_Z3fooM1AFviE", "foo(void (A::*)(int))"},
	{"_Z3fooM1Ai", "foo(int A::*)"},
	{"_Z1fIiEvT_", "void f<int>(int)"},
	{"_Z1fIJidEEvDpT_", "void f<int, double>(int, double)"},
	{"_Z1fIJEEvDpT_", "void f<>()"},
	{"_Z1fILi5EEvv", "void f<5>()"},
	{"_Z1fILb1ELj3ELn2EEvv", "void f<true, 3u, (__int128)2>()"},
	{"_Z1fILb1ELj3ELin2EEvv", "void f<true, 3u, -2>()"},
	{"_Z1fIRiEvOT_", "void f<int&>(int&)"},
	{"_ZN1AcviEv", "A::operator int()"},
	{"_ZN1AcvT_IiEEv", "A::operator int<int>()"},
	{"_ZlsRSoRK1A", "operator<<(std::ostream&, A const&)"},
	{"_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back(int&&)"},
	{"_ZNSsC1ERKSs", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::basic_string(std::string const&)"},
	{"_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()(int) const"},
	{"_ZZ3foovE3bar_0", "foo()::bar"},
	{"_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo()"},
	{"_ZN3foo3barB5cxx11Ev", "foo::bar[abi:cxx11]()"},
	{"_ZTV3foo", "vtable for foo"},
	{"_ZThn16_N3foo3barEv", "non-virtual thunk to foo::bar()"},
	{"_ZGVZ3foovE1x", "guard variable for foo()::x"},
	{"_Z3foov.cold", "foo() [clone .cold]"},
	{"_Z3foov.part.0.isra.1", "foo() [clone .part.0] [clone .isra.1]"},
	{"_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"},
	{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
		"<Test + 'static as foo::Bar<Test>>::bar"},
	{"_RNvC6_123foo3bar", "123foo::bar"},
	{"_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y", "utf8_idents::საჭმელად_გემრიელი_სადილი"},
	{"_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}"},
	{"_RINbNbCskIICzLVDPPb_5alloc5alloc8box_freeDINbNiB4_5boxed5FnBoxuEp6OutputuEL_ECs1iopQbuBiw2_3std",
		"alloc::alloc::box_free::<dyn alloc::boxed::FnBox<(), Output = ()>>"},
	{"_RNvYINtC7mycrate3FoopEINtNtC3std7convert4FrompE4from", "<mycrate::Foo<_> as std::convert::From<_>>::from"},
	{"_RIC3fooKlnf_E", "foo::<-15>"},
	{"_RB_", ""},
	{"_RNvB_1a", ""},
}

func TestName(t *testing.T) {
	for _, n := range names {
		want := n[1]
		if want == "" {
			want = n[0]
		}
		if got := Name(n[0]); got != want {
			t.Errorf("%s:\n\tgot  %s\n\twant %s", n[0], got, want)
		}
	}
}

// TestHostile checks that names that would take long or become long are quickly returned unchanged.
func TestHostile(t *testing.T) {
	for _, s := range []string{
		"_Z1f" + strings.Repeat("P", 8000) + "i",
		"_Z1f" + strings.Repeat("N", 8000),
		"_ZN" + strings.Repeat("1aI", 2000),
		"_Z" + strings.Repeat("Z1a", 2000),
		"_Z1fI" + strings.Repeat("J", 7000),
		"_R" + strings.Repeat("Nv", 4000),
		"_RY" + strings.Repeat("R", 4000),
		"_RNvC1a" + strings.Repeat("9", 4000),
		"_R" + strings.Repeat("IC1aTB0_", 1000),
		doubling("_Z1f1a", 60),
	} {
		start := time.Now()
		if got := Name(s); got != s {
			t.Errorf("%.40s… became %.40s…", s, got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%.40s… took %v", s, took)
		}
	}
}

// doubling returns a name in which each parameter is twice as long as the previous one.
func doubling(s string, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	last := "S_"
	for i := range n {
		s += "1bI" + last + last + "E"
		last = "S" + digits[(2*i+1)%36:][:1] + "_"
	}
	return s
}

func FuzzName(f *testing.F) {
	for _, n := range names {
		f.Add(n[0])
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Name(s)
		if got != s && (got == "" || len(got) > MaxOutput) {
			t.Fatalf("%q became %d bytes", s, len(got))
		}
		if !strings.HasPrefix(s, "_") && got != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
