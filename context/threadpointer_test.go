package context

import (
	"fmt"
	"testing"
)

// TestThreadPointer puts a known value where each architecture has its thread pointer.
func TestThreadPointer(t *testing.T) {
	// Offsets in the register set of NT_PRSTATUS, from the kernel's struct user_regs_struct, pt_regs and s390_regs.
	at := map[Arch]int{AMD64: 21 * 8, PPC64: 13 * 8, RISCV64: 4 * 8, LOONG64: 2 * 8}
	for _, c := range archCases {
		for _, o := range orders(c) {
			t.Run(fmt.Sprint(c.arch, "/", o), func(t *testing.T) {
				r := Regsets{Arch: c.arch, Order: o, GP: pattern(c.arch.GPSize(), 5)}
				want, set := uint64(0), []byte(nil)
				switch off, ok := at[c.arch]; {
				case ok:
					want = 0x7f0012345678
					o.PutUint64(r.GP[off:], want)
				case c.arch == S390X:
					want = 0x3ff12345678
					o.PutUint64(r.GP[144:], want)
				case c.arch == ARM64:
					want, set = 0x7f0012345678, make([]byte, 8)
					o.PutUint64(set, want)
				case c.arch == X86:
					want, set = 0xf7d01234, make([]byte, 48)
					o.PutUint32(r.GP[40:], 13<<3|3)
					for i := range uint32(3) {
						o.PutUint32(set[16*i:], 12+i)
						o.PutUint32(set[16*i+4:], 0xf7d01233+i)
					}
				}
				if got := r.ThreadPointer(set); got != want {
					t.Errorf("%#x, want %#x", got, want)
				}
				if note, size := c.arch.ThreadPointerRegset(); (note != 0) != (set != nil) || size != len(set) {
					t.Errorf("set %#x of %d bytes", note, size)
				}
				if got := r.ThreadPointer(nil); set != nil && got != 0 {
					t.Errorf("%#x without its set", got)
				}
				r.GP = r.GP[:8]
				if got := r.ThreadPointer(set); got != 0 {
					t.Errorf("%#x of too few registers", got)
				}
			})
		}
	}
}
