package wer

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"minidump/internal/scratch"
)

func TestInstall(t *testing.T) {
	path := filepath.Join(scratch.Dir(t), "module.dll")
	b := new(Block)
	if err := Register(path, b); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := Uninstall(path, false); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("not installed: %v", err)
	}
	for range 2 { // the second Install replaces the file
		if err := Install(path, false); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, image(t)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if !named(path, false) || named(path, true) {
		t.Errorf("named for the user %v, for all %v", named(path, false), named(path, true))
	}
	if err := Register(path, b); err != nil {
		t.Errorf("register: %v", err)
	}
	if err := Uninstall(path, false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || named(path, false) {
		t.Errorf("after Uninstall: %v, named %v", err, named(path, false))
	}
}

func TestNotInRegistry(t *testing.T) {
	path := filepath.Join(scratch.Dir(t), "module.dll")
	if err := os.WriteFile(path, image(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Register(path, new(Block)); !errors.Is(err, ErrNotInstalled) {
		t.Error(err)
	}
}

func TestForeignFiles(t *testing.T) {
	path := filepath.Join(scratch.Dir(t), "module.dll")
	for text, want := range map[string]error{"something else": errNotOurs, "": errNotOurs, modulePrefix + "0.dll\x00": errVersion} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Register(path, new(Block)); !errors.Is(err, want) {
			t.Errorf("register %q: %v", text, err)
		}
		if want != errNotOurs {
			continue
		}
		if err := Uninstall(path, false); !errors.Is(err, want) {
			t.Errorf("uninstall %q: %v", text, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("after Uninstall: %v", err)
		}
	}
}
