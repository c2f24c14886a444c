package sys

import "testing"

func TestSplitStat(t *testing.T) {
	for text, want := range map[string][2]string{
		"7 (a) R 1": {"a", "R 1"}, "7 () Z ": {"", "Z "}, "7 (a) b) (\n) S 1 2": {"a) b) (\n", "S 1 2"}, "-1 (x) R": {"x", "R"},
	} {
		name, fields, ok := SplitStat([]byte(text))
		if !ok || string(name) != want[0] || string(fields) != want[1] {
			t.Errorf("%q: %q, %q, %v", text, name, fields, ok)
		}
	}
	for _, text := range []string{"", "7", "7 (", "7 (a", "7 (a)", "7 (a) ", "7 (a)R", "7(a) R", "(a) R", " (a) R", ")(", "7 )( R"} {
		if name, fields, ok := SplitStat([]byte(text)); ok {
			t.Errorf("%q: %q, %q", text, name, fields)
		}
	}
}
