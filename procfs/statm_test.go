package procfs

import "testing"

func TestParseStatm(t *testing.T) {
	got, ok := ParseStatm([]byte("2241 1150 1020 80 0 461 0\n"))
	if want := (Statm{Size: 2241, Resident: 1150, Shared: 1020, Text: 80, Data: 461}); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, bad := range []string{"", "\n", "1 2 3 4 5\n", "1 2 3 x 5 6 7\n", "1  2 3 4 5 6\n", "99999999999999999999 2 3 4 5 6 7\n"} {
		if got, ok := ParseStatm([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
