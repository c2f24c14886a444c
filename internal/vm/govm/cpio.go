//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cpio writes an uncompressed archive in the "newc" format, which the kernel unpacks as its initramfs. Layout: the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
type cpio struct {
	w       *bufio.Writer
	written int64
	inode   int
	dirs    map[string]bool
}

func newCPIO(w io.Writer) *cpio {
	return &cpio{w: bufio.NewWriterSize(w, 1<<20), dirs: map[string]bool{}}
}

func (c *cpio) pad() {
	for c.written%4 != 0 {
		c.w.WriteByte(0)
		c.written++
	}
}

// entry writes one header and size bytes of body. Write errors stay in the bufio.Writer until close.
func (c *cpio) entry(name string, mode uint32, size int64, body io.Reader, major, minor int) error {
	c.inode++
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.inode, mode, 0, 0, 1, time.Now().Unix(), size, 0, 0, major, minor, len(name)+1, 0)
	c.w.WriteString(header)
	c.w.WriteString(name)
	c.w.WriteByte(0)
	c.written += int64(len(header) + len(name) + 1)
	c.pad()
	if body == nil {
		return nil
	}
	n, err := io.Copy(c.w, io.LimitReader(body, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s: size changed while it was read", name)
	}
	c.written += n
	c.pad()
	return err
}

// mkdir adds a folder and its parents, each once.
func (c *cpio) mkdir(name string) {
	if name == "." || name == "" || c.dirs[name] {
		return
	}
	c.mkdir(filepath.Dir(name))
	c.dirs[name] = true
	c.entry(name, 0040777, 0, nil, 0, 0)
}

// device adds a character device.
func (c *cpio) device(name string, permissions uint32, major, minor int) {
	c.entry(name, 0020000|permissions, 0, nil, major, minor)
}

// file adds a regular file with the given content.
func (c *cpio) file(name string, permissions uint32, content []byte) error {
	c.mkdir(filepath.Dir(name))
	return c.entry(name, 0100000|permissions, int64(len(content)), bytes.NewReader(content), 0, 0)
}

// tree adds the host's file or folder src as dst. A symbolic link is followed only if it is src itself.
func (c *cpio) tree(dst, src string) error {
	if resolved, err := filepath.EvalSymlinks(src); err == nil {
		src = resolved
	}
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		return c.add(filepath.Join(dst, rel), path, info)
	})
}

func (c *cpio) add(name, path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		c.mkdir(name)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		c.mkdir(filepath.Dir(name))
		return c.entry(name, 0120777, int64(len(target)), strings.NewReader(target), 0, 0)
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		c.mkdir(filepath.Dir(name))
		return c.entry(name, 0100000|uint32(info.Mode().Perm()), info.Size(), f, 0, 0)
	}
	return nil
}

func (c *cpio) close() error {
	c.entry("TRAILER!!!", 0, 0, nil, 0, 0)
	return c.w.Flush()
}
