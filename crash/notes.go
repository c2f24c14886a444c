//go:build linux || windows || (darwin && !ios)

package crash

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"minidump"
)

// area is the memory of the notes.
type area interface {
	io.ReaderAt
	io.WriterAt
}

// The notes are memory shared with the monitor: the number of the valid slot, and then two slots. A crash in the middle of a change leaves
// the other slot valid.
const (
	noteSlot = 64 << 10
	noteHead = 4096
	noteSize = noteHead + 2*noteSlot
)

func writeNotes() error {
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(running.current)) {
		b = append(append(append(append(b, k...), 0), running.current[k]...), 0)
	}
	if len(b) > noteSlot-8 {
		return fmt.Errorf("crash: %d bytes of annotations, but at most %d fit", len(b), noteSlot-8)
	}
	slot := running.slot ^ 1
	head := fmt.Appendf(nil, "%d %d ", slot, len(b))
	if _, err := running.notes.WriteAt(b, int64(noteHead+slot*noteSlot)); err != nil {
		return fmt.Errorf("crash: write annotations: %w", err)
	}
	if _, err := running.notes.WriteAt(head, 0); err != nil {
		return fmt.Errorf("crash: write annotations: %w", err)
	}
	running.slot = slot
	return nil
}

// readNotes returns the annotations that the program has set.
func readNotes(f area) (list []minidump.Annotation) {
	head := make([]byte, 32)
	n, _ := f.ReadAt(head, 0)
	var slot, size int
	if _, err := fmt.Sscanf(string(head[:n]), "%d %d ", &slot, &size); err != nil || slot&^1 != 0 || size < 0 || size > noteSlot {
		return nil
	}
	b := make([]byte, size)
	if n, _ := f.ReadAt(b, int64(noteHead+slot*noteSlot)); n < size {
		return nil
	}
	parts := strings.Split(string(b), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		list = append(list, minidump.Annotation{Key: parts[i], Value: parts[i+1]})
	}
	return list
}

// SetAnnotation sets an annotation of later dumps; an empty value removes it. Key and value end at a zero byte. All
// annotations together may have 64 KiB. It may be called on any goroutine after Start.
func SetAnnotation(key, value string) error {
	key, _, _ = strings.Cut(key, "\x00")
	value, _, _ = strings.Cut(value, "\x00")
	running.Lock()
	defer running.Unlock()
	if !running.on {
		return errors.New("crash: SetAnnotation before Start")
	}
	old, had := running.current[key]
	if running.current[key] = value; value == "" {
		delete(running.current, key)
	}
	err := writeNotes()
	if err != nil {
		if delete(running.current, key); had {
			running.current[key] = old
		}
	}
	return err
}
