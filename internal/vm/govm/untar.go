//go:build linux

package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// untar unpacks an archive made by the guest below the folder out, and never outside it.
func untar(archive, out string) error {
	if err := os.MkdirAll(out, 0755); err != nil {
		return err
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(bufio.NewReader(f))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.Mkdir(strings.TrimSuffix(header.Name, "/"), 0755)
		case tar.TypeSymlink:
			err = root.Symlink(header.Linkname, header.Name)
		case tar.TypeReg:
			err = writeFile(root, header, r)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func writeFile(root *os.Root, header *tar.Header, r io.Reader) error {
	w, err := root.OpenFile(header.Name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fs.FileMode(header.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if e := w.Close(); err == nil {
		err = e
	}
	return err
}
