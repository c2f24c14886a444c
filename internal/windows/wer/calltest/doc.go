// Package calltest calls machine code of Windows on arm64 from a test on Linux, as no Windows of that processor was at hand. Both
// systems pass arguments alike. The functions of Windows that the code imports are replaced by ones that record their
// arguments. It has no lock: one test uses it at a time.
package calltest
