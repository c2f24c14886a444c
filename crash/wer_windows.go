package crash

import (
	"fmt"

	"golang.org/x/sys/windows"

	"minidump/internal/windows/wer"
)

// block is the block that Start has prepared for the module.
var block *wer.Block

// prepareModule makes the handles of the link and of the monitor available to the module.
func prepareModule(b *wer.Block, l *link, peer windows.Handle) {
	b.Prepare(wer.Handles{Event: uintptr(l.event), Done: uintptr(l.done), Peer: uintptr(peer)})
	block = b
}

// exception returns the thread of an exception and the address of its EXCEPTION_POINTERS, as reported by the hooks, or else by
// the module.
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

// InstallWERModule writes a library for Options.WERModule to path, replacing an existing file, and names it in the registry: for all
// users of the machine, which requires an administrator, or for the user of this process. Windows loads the library into
// WerFault.exe, so only users who may change the programs that use it should be able to write to its folder. It works for
// programs of the architecture of this process. On other systems the error wraps ErrUnsupported.
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
