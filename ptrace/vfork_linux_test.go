package ptrace

func vforkAndWait(mem *shared) {}
