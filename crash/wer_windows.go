package crash

import (
	"fmt"

	"minidump/internal/windows/wer"
)

// block is what Start has prepared for the module.
var block *wer.Block

// exception returns the thread that an exception is of, and where its EXCEPTION_POINTERS are: of the hooks, or of the module if
// these have none.
func (s shared) exception() (tid int, pointers uint64) {
	if r := s.report(); r.Thread != 0 {
		return int(r.Thread), r.Pointers
	}
	thread, pointers := s.block().Exception()
	return int(thread), pointers
}

func registerModule(path string) error {
	if err := wer.Register(path, block); err != nil {
		return fmt.Errorf("%w: %w", ErrWERModule, err)
	}
	return nil
}

// InstallWERModule writes a library for Options.WERModule to path, replacing what is there, and names it in the registry: for all users
// of the machine, which takes an administrator, or for the user of this process. Only those who may change the programs that use the
// library may be able to write to its folder: Windows loads it into WerFault.exe. Programs of 32 bits need one
// that a program of 32 bits has installed. On other systems the error wraps ErrUnsupported.
func InstallWERModule(path string, machine bool) error {
	if err := wer.Install(path, machine); err != nil {
		return fmt.Errorf("crash: install the module: %w", err)
	}
	return nil
}

// UninstallWERModule removes a library that InstallWERModule has written, and its name in the registry.
func UninstallWERModule(path string, machine bool) error {
	if err := wer.Uninstall(path, machine); err != nil {
		return fmt.Errorf("crash: uninstall the module: %w", err)
	}
	return nil
}
