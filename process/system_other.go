//go:build !linux && !windows && !darwin

package process

const ignoreCase = false

// openSystem always fails.
func openSystem(int) (system, error) { return nil, ErrUnsupported }
