package minidump

// Process tells the id of the process that the Writer dumps, and what the process calls itself: the name of its main
// thread, at most 15 bytes; "" if that can't be found out. It allocates.
func (w *Writer) Process() (pid int, name string) {
	type named interface{ process() (int, string) }
	if src, ok := w.src.(named); ok {
		return src.process()
	}
	return 0, ""
}
