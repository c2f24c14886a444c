package main

import (
	"fmt"
	"os"

	"minidump/internal/windows/wer"
)

// who returns the users for whom the module is installed, as text for messages.
func (f *werFlags) who() string {
	if f.user {
		return "this user"
	}
	return "all users"
}

func (f *werFlags) install(path string) error {
	if err := wer.Install(path, !f.user); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "wrote %s, which Windows Error Reporting may now load for programs of %s\n", path, f.who())
	return nil
}

func (f *werFlags) uninstall(path string) error {
	if err := wer.Uninstall(path, !f.user); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "removed %s for %s\n", path, f.who())
	return nil
}
