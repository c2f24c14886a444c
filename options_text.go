package minidump

import (
	"strconv"
	"strings"

	"minidump/context"

	"minidump/internal/snapshot"
)

// String returns the name that the command's --mode uses: "stack", "indirect" or "full".
func (m Mode) String() string {
	switch m {
	case ModeStack:
		return "stack"
	case ModeIndirect:
		return "indirect"
	case ModeFull:
		return "full"
	}
	return "Mode(" + strconv.Itoa(int(m)) + ")"
}

// String returns the names that the command's --omit uses, "environ,cmdline,handles" for all, and "nothing" for 0.
func (o Omit) String() string {
	var names []string
	for _, n := range []struct {
		bit  Omit
		name string
	}{{OmitEnviron, "environ"}, {OmitCmdline, "cmdline"}, {OmitHandles, "handles"}} {
		if o&n.bit != 0 {
			names = append(names, n.name)
		}
		o &^= n.bit
	}
	if o != 0 {
		names = append(names, "Omit("+strconv.Itoa(int(o))+")")
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ",")
}

// String describes in one line what a dump with these options contains, with the defaults filled in. Of annotations,
// user streams and modules it has only the number, because their contents may be private.
func (o Options) String() string {
	var want snapshot.Want
	o.want(&want)
	parts := []string{"mode " + o.Mode.String()}
	add := func(words ...string) { parts = append(parts, strings.Join(words, "")) }
	if o.Thread != 0 {
		add("thread ", strconv.Itoa(o.Thread))
	}
	if o.Crash != nil {
		add("crash by ", context.SignalNameArch(o.Crash.Arch, o.Crash.Signo))
	}
	if o.Limit != 0 {
		add("at most ", sizeText(o.Limit))
	}
	add("stacks up to ", sizeText(want.StackLimit), ", the blamed thread's up to ", sizeText(want.CrashStackLimit))
	switch {
	case o.SanitizeAll:
		add("all memory sanitized")
	case o.SanitizeStacks:
		add("stacks sanitized")
	}
	if o.Omit != 0 {
		add("without ", o.Omit.String())
	}
	if o.RegisterSets {
		add("with register sets")
	}
	if o.SkipUnreferencedStacks {
		add("only stacks that refer to the module at ", hexText(o.PrincipalAddress))
	}
	for _, n := range []struct {
		n    int
		what string
	}{{len(o.AppMemory), "range of application memory"}, {len(o.Annotations), "annotation"},
		{len(o.UserStreams), "user stream"}, {len(o.UserModules), "user module"},
		{len(o.ModuleAnnotations), "annotated module"}} {
		if n.n > 0 {
			add(countText(n.n, n.what))
		}
	}
	add(want.StopTimeout.String(), " to stop all threads")
	return strings.Join(parts, "; ")
}

// String describes the dump in one line: its size, its contents, how long it took and how many pieces are missing.
func (r Result) String() string {
	text := sizeText(r.Size) + ", " + countText(r.Threads, "thread") + ", " + countText(r.Modules, "module") + ", " +
		countText(r.Ranges, "memory range") + " of " + sizeText(r.Memory)
	if r.Pause > 0 {
		text += "; stopped for " + r.Pause.String() + ", " + r.Total.String() + " in all"
	} else {
		text += "; " + r.Total.String()
	}
	if r.Soft > 0 {
		text += "; " + countText(r.Soft, "piece") + " missing"
	}
	return text
}

// sizeText returns a number of bytes in the largest unit that keeps two digits: "512 B", "54 KiB", "1.5 MiB".
func sizeText(n uint64) string {
	if n < 1<<10 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, units := float64(n)/(1<<10), "KMGTPE"
	for f >= 999.5 && len(units) > 1 {
		f, units = f/(1<<10), units[1:]
	}
	digits := 0
	if f < 9.95 && f != float64(int(f)) {
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + units[:1] + "iB"
}

// countText returns "1 thread" or "2 threads". In a phrase with "of", the first part gets the s.
func countText(n int, what string) string {
	if n != 1 {
		first, rest, more := strings.Cut(what, " of ")
		if what = first + "s"; more {
			what += " of " + rest
		}
	}
	return strconv.Itoa(n) + " " + what
}

func hexText(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
