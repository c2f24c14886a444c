//go:build !windows

package crash

import "fmt"

// registerModule does nothing: other systems have no Windows Error Reporting.
func registerModule(string) error { return nil }

// InstallWERModule writes a library for Options.WERModule and names it in the registry of Windows. On this system it returns an error that
// wraps ErrUnsupported.
func InstallWERModule(path string, machine bool) error {
	return fmt.Errorf("crash: Windows Error Reporting on this system: %w", ErrUnsupported)
}

// UninstallWERModule removes what InstallWERModule has made. On this system it returns an error that wraps ErrUnsupported.
func UninstallWERModule(path string, machine bool) error { return InstallWERModule(path, machine) }
