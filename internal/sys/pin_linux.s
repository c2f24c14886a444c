// This file is empty: with it, the compiler accepts functions without a body (pin_linux.go).
