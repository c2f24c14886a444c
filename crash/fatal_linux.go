package crash

// fatalText returns the text of a fatal error; see fatal.go.
func fatalText(pid int, r *report) string {
	r.drain(enoughForFatal)
	mem, err := openMemory(pid)
	if err != nil {
		return ""
	}
	defer mem.file.Close()
	call := parseFatal(string(r.text))
	return call.text(mem)
}
