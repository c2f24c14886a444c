package backtrace

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"minidump/stream"
)

// lazily returns a pattern that is compiled at its first use: what this package initialises delays the start of every command.
func lazily(pattern func() string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern()) })
}

// irrelevant matches functions that a crash passes through whatever its cause: those by which a process ends itself, and the
// languages' machinery for that. They are left out of a signature, as in Socorro's irrelevant_signature_re.
var irrelevant = lazily(func() string {
	return `^(` + strings.Join([]string{
		`_*(GI_)?(raise|abort|gsignal|kill|tgkill|pthread_kill(_implementation|_internal)?|libc_message\w*|libc_fatal|assert(_fail(_base)?|_perror_fail)?|` +
			`fortify_fail\w*|chk_fail|stack_chk_fail\w*|restore_rt|kernel_\w*sigreturn|syscall\w*|libc_start\w*)`,
		`_start`, `malloc_printerr`,
		`__(cxxabiv1::__)?terminate\b.*`, `std::(terminate|unexpected)\b.*`, `__cxa_(throw|rethrow|call_unexpected|pure_virtual|deleted_virtual)`,
		`__gnu_cxx::__verbose_terminate_handler\b.*`, `std::__throw_\w+.*`,
		`rust_(begin_unwind|panic\w*)`, `__rust_\w+`, `(std|core|alloc)::(panicking|panic|result::unwrap_failed|option::(unwrap|expect)_failed)\b.*`,
		`std::(sys|sys_common)::(backtrace::\w*short_backtrace|process::\w*abort\w*)\b.*`, `std::process::abort`,
		`runtime\.(raise|dieFromSignal|crash|fatal\w*|throw\w*|gopanic|sigpanic\w*|panic\w*|sighandler|sigtrampgo|sigfwdgo|sigtramp|goexit|mcall|systemstack\w*|asmcgocall)\b.*`,
		`(internal/)?(runtime/maps|sync)\.(fatal|throw)`,
		`_?sigtramp\w*`, `KiUserExceptionDispatcher`, `RaiseException`, `_invoke_watson`, `_?CxxThrowException`,
	}, "|") + `)$`
})

// carriers matches functions that crash because of what their caller passed: a signature continues with the caller.
var carriers = lazily(func() string {
	return `^_*(GI_)?(mem(cpy|move|set|cmp|chr|rchr|mem|pcpy)\w*|str(len|cpy|ncpy|cat|ncat|cmp|ncmp|chr|rchr|str|dup|ndup|tol|toul|tod)\w*|wcs\w+|` +
		`(v|f|s|vs|vsn|sn|vf)?printf\w*|f?puts|fwrite|fread|(libc_)?(malloc|free|calloc|realloc)|int_(malloc|free)\w*|cfree|operator (new|delete)\b.*|qsort\w*|bsearch|` +
		`pthread_mutex_\w*lock\w*|std::.*|runtime\.map\w+|(internal/)?sync\.\(\*\w+\)\.\w+)$`
})

// maxSignatureFrames is the maximum number of functions in a signature.
const maxSignatureFrames = 6

// Signature returns what crashes of the same kind have in common: the innermost relevant function, and its callers as long as each
// callee is only a carrier, separated by " | ". It is empty if there are no frames. A function without a name is represented by its
// module and the offset in it.
func Signature(frames []stream.NamedFrame, module func(index uint32) (name string, base uint64, ok bool)) string {
	var parts []string
	for i := range frames {
		f := &frames[i]
		name := normalised(f.Function)
		if irrelevant().MatchString(name) && i < len(frames)-1 {
			continue
		}
		if name == "" {
			name = placeOf(f, module)
		}
		if parts = append(parts, name); len(parts) == maxSignatureFrames || !carriers().MatchString(name) {
			break
		}
	}
	return strings.Join(parts, " | ")
}

// placeOf returns "libfoo.so@0x1234", or the address if it is in no module.
func placeOf(f *stream.NamedFrame, module func(index uint32) (string, uint64, bool)) string {
	name, base, ok := module(f.Module)
	if !ok {
		return fmt.Sprintf("@%#x", f.PC)
	}
	return fmt.Sprintf("%s@%#x", path.Base(strings.ReplaceAll(name, `\`, "/")), f.PC-base)
}

var (
	anonymous = lazily(func() string { return `\(anonymous namespace\)|\{anonymous\}` })
	closure   = lazily(func() string {
		return `(\.func\d+(\.\d+)*|::\{\{closure\}\}|::\{closure#\d+\}|::h[0-9a-f]{16}|\.(constprop|isra|part|cold|llvm)(\.\d+)?)`
	})
)

// normalised returns the name of a function without what differs between two builds of the same source: arguments, template
// arguments, hashes, clone numbers.
func normalised(name string) string {
	name = anonymous().ReplaceAllString(name, "_")
	if !strings.HasPrefix(name, "operator") {
		name = withoutBrackets(name)
	}
	return strings.TrimSpace(closure().ReplaceAllString(name, ""))
}

// withoutBrackets removes what is in <…> and (…), except Go's (*T) and names that begin with "<", such as Rust's "<T as Trait>::method".
func withoutBrackets(name string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '<' && i == 0, c == '(' && i+1 < len(name) && name[i+1] == '*' && depth == 0:
			return name // not a C++ name
		case c == '<' || c == '(':
			depth++
		case (c == '>' || c == ')') && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
