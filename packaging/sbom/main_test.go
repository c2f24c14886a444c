package main

import (
	"debug/buildinfo"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d, err := describe("1.2.3", []string{self, self})
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]int{}
	for _, c := range d.Components {
		refs[c.Ref]++
	}
	std := ""
	for ref := range refs {
		if strings.HasPrefix(ref, "pkg:golang/std@1.") {
			std = ref
		}
	}
	if refs[std] != 1 || d.Metadata.Component.Version != "1.2.3" {
		t.Errorf("%+v", d)
	}
	for _, dep := range d.Dependencies {
		for _, on := range dep.DependsOn {
			if refs[on] == 0 {
				t.Errorf("%s depends on %s, which is not listed", dep.Ref, on)
			}
		}
	}
	if _, err := describe("1", []string{"main.go"}); err == nil {
		t.Error("a text is taken for a program")
	}
}

func TestModules(t *testing.T) {
	list := modules(&buildinfo.BuildInfo{GoVersion: "go1.26.1", Deps: []*debug.Module{
		{Path: "golang.org/x/sys", Version: "v0.50.0", Sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}})
	if len(list) != 2 || list[0].PURL != "pkg:golang/std@1.26.1" || list[1].Ref != "pkg:golang/golang.org/x/sys@v0.50.0" ||
		list[1].Hashes[0].Content != strings.Repeat("0", 64) {
		t.Errorf("%+v", list)
	}
}
