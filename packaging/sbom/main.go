// Sbom prints the components of Go programs as a CycloneDX document in JSON: the SHA-256 sum of each program, and the modules, with
// their versions and checksums, and the Go release that the go command recorded in it.
//
//	sbom -version VERSION PROGRAM...
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// document is the part of a CycloneDX 1.5 document that is used here (bom-1.5.schema.json).
type document struct {
	BOMFormat    string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type     string    `json:"type"`
	Ref      string    `json:"bom-ref"`
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"`
	PURL     string    `json:"purl,omitempty"`
	Hashes   []hash    `json:"hashes,omitempty"`
	Licenses []license `json:"licenses,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("sbom: ")
	version := flag.String("version", "", "version of the release")
	flag.Parse()
	if flag.NArg() == 0 || *version == "" {
		log.Fatal("usage: sbom -version VERSION PROGRAM...")
	}
	d, err := describe(*version, flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fmt.Printf("%s\n", text); err != nil {
		log.Fatal(err)
	}
}

// describe returns the document for the programs. The folder of each program names its platform.
func describe(version string, programs []string) (*document, error) {
	d := &document{BOMFormat: "CycloneDX", SpecVersion: "1.5", Version: 1}
	d.Metadata.Component = component{Type: "application", Ref: "minidump", Name: "minidump", Version: version, Licenses: []license{mit()}}
	all := dependency{Ref: "minidump"}
	for _, path := range programs {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sum, err := digest(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		d.Components = append(d.Components, component{Type: "file", Ref: name, Name: name, Version: version,
			Hashes: []hash{{"SHA-256", sum}}})
		all.DependsOn = append(all.DependsOn, name)
		uses := dependency{Ref: name}
		for _, c := range modules(info) {
			if !slices.ContainsFunc(d.Components, func(other component) bool { return other.Ref == c.Ref }) {
				d.Components = append(d.Components, c)
			}
			uses.DependsOn = append(uses.DependsOn, c.Ref)
		}
		d.Dependencies = append(d.Dependencies, uses)
	}
	d.Dependencies = append(d.Dependencies, all)
	return d, nil
}

// modules returns the standard library and the modules from which a program was built, except its own.
func modules(info *buildinfo.BuildInfo) []component {
	std := strings.TrimPrefix(info.GoVersion, "go")
	list := []component{{Type: "library", Name: "std", Version: std, PURL: "pkg:golang/std@" + std}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version}
		// The sum is of the module's tree: "h1:" and a SHA-256 in base64.
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
			c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}}
		}
		list = append(list, c)
	}
	for i := range list {
		list[i].Ref = list[i].PURL
	}
	return list
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func mit() (l license) {
	l.License.ID = "MIT"
	return l
}
