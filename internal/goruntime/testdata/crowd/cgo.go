//go:build cgo

package main

/*
#include <unistd.h>
static void sleep_in_c(void) { for (;;) pause(); }
*/
import "C"

// inC calls C code that does not return.
func inC() { C.sleep_in_c() }
