package stream

import ("testing";"os";"path/filepath";"fmt")

func TestLocalReal(t *testing.T) {
	paths, _ := filepath.Glob("/tmp/dmp/*.dmp")
	for _, p := range paths {
		f, err := OpenFile(p)
		if err != nil { fmt.Println(p, err); continue }
		fmt.Println("==", p, f.Order, f.Size())
		for _, d := range f.Directory { fmt.Print(" ", d.Type) }
		fmt.Println()
		th, err := f.Threads(); fmt.Println("threads", len(th), err)
		n, err := f.ThreadNames(); fmt.Println("names", n, err)
		ms, err := f.Modules(); fmt.Println("modules", len(ms), err)
		for i, m := range ms { if i < 2 { fmt.Printf("  %#x %q build=%s debug=%s code=%s\n", m.BaseOfImage, m.Name, m.BuildID, m.DebugID, m.CodeID) } }
		ex, err := f.Exception(); fmt.Printf("exc %+v %v\n", ex, err)
		si, csd, err := f.SystemInfo(); fmt.Printf("sys %+v %q %v\n", si, csd, err)
		mi, err := f.MiscInfo(); fmt.Printf("misc %+v %v\n", mi, err)
		rs, err := f.MemoryRanges(); fmt.Println("ranges", len(rs), err)
		mem, err := f.MemoryInfo(); fmt.Println("meminfo", len(mem), err)
		hs, err := f.Handles(); fmt.Println("handles", len(hs), err)
		ds, err := f.DSODebug(); fmt.Println("dso", len(ds.LinkMaps), ds.Version, err); if len(ds.LinkMaps)>1 {fmt.Printf("%+v\n", ds.LinkMaps[1])}
		um, err := f.UnloadedModules(); fmt.Println("unloaded", len(um), err)
		ti, err := f.ThreadInfo(); fmt.Println("threadinfo", len(ti), err)
		cp, err := f.CrashpadInfo(); fmt.Printf("crashpad %+v %v\n", cp, err)
		bi, err := f.BreakpadInfo(); fmt.Printf("breakpad %+v %v\n", bi, err)
		for i, s := range Problems(f) { if i < 8 { fmt.Println("  PROBLEM", s) } }
		f.Close()
	}
	_ = os.Stdout
}
