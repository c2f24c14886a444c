package symbol

import (
	"os"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// TestCross reads programs of other architectures: 32 bits, big-endian, Thumb code, function descriptors.
func TestCross(t *testing.T) {
	for target, flags := range map[string][]string{
		"i686-linux-gnu": nil, "arm-linux-gnueabihf": {"-mthumb"}, "aarch64-linux-gnu": nil, "powerpc64-linux-gnu": nil, "powerpc64le-linux-gnu": nil,
		"powerpc-linux-gnu": nil, "s390x-linux-gnu": nil, "mips-linux-gnu": nil, "mips64-linux-gnuabi64": nil, "riscv64-linux-gnu": nil,
	} {
		t.Run(target, func(t *testing.T) {
			path := compile(t, target+"-gcc", program, append(flags, "-O2", "-g", "-static", "-Wl,--build-id")...)
			m := moduleOf(t, path)
			table := load(t, Sources{}, m)
			whole(t, table, path)
			bare := path + ".bare"
			run(t, victims.Tool(t, target+"-strip"), "--strip-debug", "-o", bare, path)
			m.Path = bare
			names := load(t, Sources{}, m)
			addrs, base := codeAddresses(t, path, 16)
			all, equal := 0, 0
			for _, a := range addrs {
				want := table.Lookup(a - base)
				if len(want) == 0 || !strings.HasSuffix(want[len(want)-1].File, "prog.c") {
					continue
				}
				got := names.Lookup(a - base)
				if all++; len(got) == 1 && strings.TrimSuffix(strings.TrimPrefix(got[0].Function, "."), ".cold") == want[len(want)-1].Function {
					equal++
				} else {
					t.Logf("%#x: %+v, %+v", a, want, got)
				}
			}
			if all < 5 || equal < all*9/10 {
				t.Errorf("%d of %d functions have the same name", equal, all)
			}
			_ = os.Remove(bare)
		})
	}
}
