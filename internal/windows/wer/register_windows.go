package wer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"minidump/internal/newfile"
)

// key is the registry key that lists the modules that Windows may load (WER Settings, Microsoft), below HKEY_LOCAL_MACHINE or
// HKEY_CURRENT_USER. The name of each value is the path of a module; its data does not matter.
const key = `Software\Microsoft\Windows\Windows Error Reporting\RuntimeExceptionHelperModules`

// Errors of Register and Uninstall.
var (
	ErrNotInstalled = errors.New("the module is not installed")
	errNotOurs      = errors.New("not a module that this program has written")
	errVersion      = errors.New("a module for another version of this program: install it again")
)

func root(machine bool) registry.Key {
	if machine {
		return registry.LOCAL_MACHINE
	}
	return registry.CURRENT_USER
}

// Install writes the module to a path, completely or not at all, and names it in the registry: for all users if machine is true,
// which requires an administrator, else for the user of this process.
func Install(path string, machine bool) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	b, err := Image()
	if err != nil {
		return err
	}
	k, _, err := registry.CreateKey(root(machine), key, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("open the registry's list of modules: %w", err)
	}
	defer k.Close()
	if err := write(path, b); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := k.SetDWordValue(path, 0); err != nil {
		return fmt.Errorf("name %s in the registry: %w", path, err)
	}
	return nil
}

func write(path string, b []byte) error {
	f, err := newfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Commit()
	}
	return err
}

// Uninstall removes the file and the name in the registry that Install has made. If neither exists, the error wraps
// ErrNotInstalled.
func Uninstall(path string, machine bool) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	_, missing := version(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, missing)
	}
	k, err := registry.OpenKey(root(machine), key, registry.SET_VALUE)
	if err == nil {
		defer k.Close()
		err = k.DeleteValue(path)
	}
	if errors.Is(err, registry.ErrNotExist) {
		if missing != nil {
			return fmt.Errorf("%s: %w", path, ErrNotInstalled)
		}
	} else if err != nil {
		return fmt.Errorf("remove %s from the registry: %w", path, err)
	}
	if missing != nil {
		return nil
	}
	return os.Remove(path)
}

// version returns the moduleName of the module at a path. The error is errNotOurs for a file that is not a module.
func version(path string) (string, error) {
	const most = 64 << 10 // a module is a few kilobytes long
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, most)
	n, _ := f.Read(b)
	b = b[:n]
	i := bytes.Index(b, []byte(modulePrefix))
	if i < 0 {
		return "", errNotOurs
	}
	name, _, _ := bytes.Cut(b[i:], []byte{0})
	return string(name), nil
}

// Register makes Windows load the module at a path when this process fails fast, and pass the address of the block to the module.
// The block must not move. Windows checks the registry only at that time, so Register checks it first: if the registry does not
// name the module, the error wraps ErrNotInstalled. A missing file is also an error.
func Register(path string, b *Block) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	switch name, err := version(path); {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case name != moduleName:
		return fmt.Errorf("%s: %w", path, errVersion)
	}
	if !named(path, true) && !named(path, false) {
		return fmt.Errorf("%s: %w: the registry does not name it", path, ErrNotInstalled)
	}
	wide, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	register := windows.NewLazySystemDLL("kernel32.dll").NewProc("WerRegisterRuntimeExceptionModule")
	if err := register.Find(); err != nil {
		return err
	}
	result, _, _ := register.Call(uintptr(unsafe.Pointer(wide)), uintptr(unsafe.Pointer(b)))
	runtime.KeepAlive(wide)
	if int32(result) < 0 {
		return fmt.Errorf("WerRegisterRuntimeExceptionModule %s: HRESULT %#x", path, uint32(result))
	}
	return nil
}

// named reports whether the registry names the module at a path.
func named(path string, machine bool) bool {
	k, err := registry.OpenKey(root(machine), key, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer k.Close()
	_, kind, err := k.GetValue(path, nil)
	return err == nil && kind == registry.DWORD
}
