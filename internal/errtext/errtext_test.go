package errtext

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestJoin(t *testing.T) {
	got := Join("a ", []byte("b "), -1, " ", int32(-2), " ", int64(-3), " ", uint16(4), " ", uint32(5), " ", uint64(6), " ", Hex(0xabc),
		" ", io.EOF, " ", time.Second)
	if want := fmt.Sprintf("a b -1 -2 -3 4 5 6 %#x EOF 1s", 0xabc); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Join(1.5); got != "?" {
		t.Errorf("%q for what it does not know", got)
	}
}

func TestWrap(t *testing.T) {
	err := Wrap(io.ErrUnexpectedEOF, 3, " bytes at ", Hex(16))
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "3 bytes at 0x10: unexpected EOF" {
		t.Error(err)
	}
	err = Explain(io.EOF, "at ", 3)
	if !errors.Is(err, io.EOF) || err.Error() != "EOF: at 3" {
		t.Error(err)
	}
	err = Around(io.EOF, "x is ", io.EOF, " by now")
	if !errors.Is(err, io.EOF) || err.Error() != "x is EOF by now" {
		t.Error(err)
	}
}
