package xz

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand"
	"os/exec"
	"strings"
	"testing"
)

// hello is "hello, hello, hello!\n" compressed by xz.
var hello, _ = hex.DecodeString("fd377a585a0000016922de360200210116000000742fe5a3e00014000f5d00341949ee8def8c87320220e9700000000063e29b7a" +
	"00012715a5e39e979042990d010000000001595a")

// compress runs xz.
func compress(t testing.TB, b []byte, flags ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("xz is missing")
	}
	cmd := exec.Command(path, append(flags, "-c")...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDecode(t *testing.T) {
	if got, err := Decode(hello, 100); string(got) != "hello, hello, hello!\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	r := rand.New(rand.NewSource(1))
	noise := make([]byte, 100000)
	r.Read(noise)
	words := []byte(strings.Repeat("the quick brown fox ", 8000))
	for i := 0; i < len(words); i += 97 {
		words[i] = byte(r.Intn(256))
	}
	for name, b := range map[string][]byte{
		"empty": {}, "one": {7}, "hello": []byte("hello, hello, hello!\n"), "noise": noise, "words": words,
		"zeros": make([]byte, 1<<20), "both": append(append(bytes.Clone(words), noise...), words...),
	} {
		for _, flags := range [][]string{{}, {"-9e"}, {"-0"}, {"--check=crc32"}, {"--check=none"}, {"--check=sha256"},
			{"--block-size=100000"}, {"--lzma2=preset=6,lc=0,lp=4,pb=0"}, {"--lzma2=preset=6,lc=4,lp=0,pb=4"}} {
			got, err := Decode(compress(t, b, flags...), len(b))
			if err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s %q: %v", name, flags, err)
			}
		}
		if len(b) > 0 {
			if _, err := Decode(compress(t, b), len(b)-1); !errors.Is(err, ErrSize) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := Decode(compress(t, words, "--x86", "--lzma2"), 1<<30); !errors.Is(err, ErrFormat) {
		t.Errorf("another filter: %v", err)
	}
}

// TestDamaged changes each byte of a small file: the check must find what the decoder does not.
func TestDamaged(t *testing.T) {
	text := []byte(strings.Repeat("hello, ", 50) + "world")
	b := compress(t, text)
	for i := range b {
		for _, v := range []byte{0, 0xff, b[i] ^ 1} {
			bad := bytes.Clone(b)
			bad[i] = v
			if got, err := Decode(bad, 1<<20); err == nil && !bytes.Equal(got, text) {
				t.Errorf("byte %d: %q", i, got)
			}
		}
		Decode(b[:i], 1<<20)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(hello)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Decode(b, 1<<20); err == nil && len(got) > 1<<20 {
			t.Fatal(len(got))
		}
	})
}
