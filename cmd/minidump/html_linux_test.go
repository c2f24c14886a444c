package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// TestHTML makes the page of a crash with an annotation that would be a script, and checks that the page has the main
// facts.
func TestHTML(t *testing.T) {
	dir := t.TempDir()
	const evil = "</dd><script>alert(1)</script>"
	run(t, dir, "run", "--annotation", "note="+evil, "--", victims.C(t, "crasher.c"), "null").want(t, 139, "wrote ")
	name := files(t, dir)[0]
	run(t, dir, "show", "--html", "page.html", name).want(t, 0, "")
	b, err := os.ReadFile(filepath.Join(dir, "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range append(libraries(), "<!DOCTYPE html>", "SIGSEGV / SEGV_MAPERR", "<dt>Signature</dt><dd>level3</dd>",
		"<dt>signature</dt><dd>level3</dd>", ">level1<", "crasher.c:", "<h2>Registers</h2>", "&lt;script&gt;alert(1)&lt;/script&gt;", "</html>") {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	for _, never := range []string{"<script", "http://", "https://", "src=", "url("} {
		if strings.Contains(page, never) {
			t.Errorf("%s is in the page", never)
		}
	}
	out := run(t, dir, "show", "--html", "-", name)
	if out.want(t, 0, ""); out.out != page {
		t.Error("standard output gets another page")
	}
	run(t, dir, "show", "--html", "x", "--json", name).want(t, 2, "--html can't be used with")
	run(t, dir, "show", "--html", "no/such/folder/x", name).want(t, 1, "no such file")
}

// TestShowFrames checks the flags of show about frames.
func TestShowFrames(t *testing.T) {
	dir := t.TempDir()
	program := victims.C(t, "crasher.c")
	run(t, dir, "run", "--no-backtrace", "--", program, "null").want(t, 139, "wrote ")
	name := files(t, dir)[0]
	has := func(want bool, args ...string) {
		t.Helper()
		o := run(t, dir, append([]string{"show"}, append(args, name)...)...)
		if o.want(t, 0, ""); strings.Contains(o.out, "crasher!level3 at crasher.c:") != want {
			t.Errorf("%q: frames are there: %v\n%s", args, !want, o.out)
		}
	}
	has(true)
	has(true, "--threads=crashed")
	has(false, "--no-backtrace")
	has(false, "--sysroot", dir)
	has(true, "--sysroot", dir, "--symbols", filepath.Dir(program))
	run(t, dir, "show", "--threads=none", name).want(t, 2, "is neither all nor crashed")
}
