package demangle
func Name(s string) string { return s }
