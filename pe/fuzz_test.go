package pe

import (
	"bytes"
	"testing"
)

func FuzzReader(f *testing.F) {
	for _, wide := range []bool{false, true} {
		s := whole(wide)
		f.Add(s.bytes())
		f.Add(loaded(s.bytes()))
		s.longNames = true
		f.Add(s.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, layout := range []Layout{File, Loaded} {
			src := &counted{b: b}
			r := NewReader(nil)
			if !r.Open(src, layout) {
				continue
			}
			in := func(what string, sub []byte) {
				if !bytes.Contains(b, sub) {
					t.Fatalf("%s: %q is not in the image", what, sub)
				}
			}
			var (
				c  CodeView
				v  Version
				x  Exports
				e  Export
				s  Section
				de DebugEntry
			)
			record := r.CodeView(&c)
			in("record", record)
			in("name", c.Name)
			if record != nil && !bytes.HasSuffix(bytes.TrimSuffix(record, []byte{0}), c.Name) {
				t.Fatalf("record %q, name %q", record, c.Name)
			}
			c.AppendDebugID(nil)
			r.Header.AppendCodeID(nil)
			if r.Version(&v) {
				in("fixed", v.Fixed)
				for s := range v.Strings() {
					in("key", s.Key)
					in("value", s.Value)
					_ = s.Value.String()
				}
			}
			for i := range r.NumSections() {
				if !r.Section(i, &s) {
					break
				}
				in("section name", bytes.Clone(r.SectionName(&s)))
			}
			for i := 0; r.DebugEntry(i, &de); i++ {
				in("debug data", r.DebugData(&de))
			}
			fixed := src.reads
			if limit := 8 * (MaxSections + MaxDebugEntries + maxResourceEntries); fixed > limit {
				t.Fatalf("%d reads", fixed)
			}
			if r.Exports(&x) {
				in("exported as", r.ExportedAs())
				n := 0
				for e := range x.All(r) {
					in("export", e.Name)
					if n++; n == 100 {
						break
					}
				}
				r.FindExport(&x, "main", &e)
				r.NearestExport(&x, r.Header.AddressOfEntryPoint, &e)
				if limit := 4*MaxExports + 4096; src.reads-fixed > limit {
					t.Fatalf("%d reads of exports", src.reads-fixed)
				}
			}
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add(versionResource())
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Version
		if !v.Parse(b) {
			return
		}
		n := 0
		for s := range v.Strings() {
			if n++; n > len(b) {
				t.Fatal("more strings than bytes")
			}
			if !bytes.Contains(b, s.Table) || !bytes.Contains(b, s.Key) || !bytes.Contains(b, s.Value) {
				t.Fatalf("%q is not in the resource", s)
			}
		}
		v.FileVersion()
		v.ProductVersion()
	})
}
