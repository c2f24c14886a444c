package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minidump/server"
)

// serve serves the Crashpad clients that started this program.
func (f *crashpadFlags) serve() error {
	if err := makeDatabase(f.database); err != nil {
		return fmt.Errorf("database %s: %w", f.database, err)
	}
	f.output = filepath.Join(f.database, "pending")
	s := &clientService{writerFlags: &f.writerFlags}
	o := s.options()
	o.FileName = func(server.Peer, string) string { return newReport() } // the server refuses ""
	o.OnDump = func(d server.Dump) {
		if d.Err == nil {
			if err := writeMetadata(d.Path); err != nil {
				s.failed(d.Peer, err)
			}
		}
		s.dumped(d)
	}
	v, err := server.New(o)
	if err != nil {
		return err
	}
	defer s.named.Wait()
	defer untilSignal(v)()
	if f.traceParent != 0 {
		return v.DumpCrashpad(os.Getppid(), f.traceParent, f.sanitization)
	}
	return v.ServeCrashpad(os.NewFile(uintptr(f.clientFD), "descriptor "+strconv.Itoa(f.clientFD)), f.shared)
}

// makeDatabase makes the folders and the settings of a database (client/crash_report_database_generic.cc and
// client/settings.cc of Crashpad).
func makeDatabase(dir string) error {
	for _, folder := range []string{"new", "pending", "completed", "attachments"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return err
		}
	}
	// u32 magic, u32 version 1, u32 options 0 (no uploads), padding, i64 time of the last upload, UUID of the client.
	b := binary.NativeEndian.AppendUint32(nil, 'C'<<24|'P'<<16|'d'<<8|'s')
	b = binary.NativeEndian.AppendUint32(b, 1)
	b = append(b, make([]byte, 16)...)
	id, err := newID()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "settings.dat"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, id[:]...))
	return errors.Join(err, f.Close())
}

// newID returns random bytes. Package crypto/rand would make the start of every command slower and the program
// larger.
func newID() ([16]byte, error) {
	var b [16]byte
	if n, err := unix.Getrandom(b[:], 0); err != nil || n != len(b) { // so few bytes are always returned whole
		return b, fmt.Errorf("getrandom: %w", err)
	}
	return b, nil
}

// newReport returns the name of a dump: a random UUID (RFC 9562, version 4), or "" if there are no random bytes.
func newReport() string {
	b, err := newID()
	if err != nil {
		return ""
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x.dmp", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// writeMetadata writes the metadata file of a report: i32 version 1, i32 attempts to upload it, i64 time of the last
// one, time_t of its creation, u8 attributes, padding (struct ReportMetadata, where time_t has 64 bits).
func writeMetadata(dump string) error {
	b := make([]byte, 32)
	binary.NativeEndian.PutUint32(b, 1)
	binary.NativeEndian.PutUint64(b[16:], uint64(time.Now().Unix()))
	return os.WriteFile(strings.TrimSuffix(dump, ".dmp")+".meta", b, 0o600)
}
