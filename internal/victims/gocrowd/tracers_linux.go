package main

import "golang.org/x/sys/unix"

// allowTracers lets any process of this user trace this one, even if Yama allows only ancestors to (ptrace_scope 1).
func allowTracers() { unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0) }
