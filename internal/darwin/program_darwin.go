package darwin

import (
	"os"

	"minidump/internal/goruntime"
	"minidump/internal/snapshot"
	"minidump/mach"
)

// ProgramImage lists the readable ranges of a task's main program. ok is false if there is none for this processor.
func ProgramImage(task mach.Port) (im goruntime.Image, ok bool) {
	l := &Source{task: task, mem: memory{task: task, page: uint64(os.Getpagesize())}, scratch: make([]byte, scratchSize)}
	l.image.Init(l.scratch)
	main := l.main()
	if main == nil {
		return im, false
	}
	im = goruntime.Image{Arch: Arch, Order: order}
	in := extent(main)
	var info mach.VMRegionSubmapInfo64
	for at := in.Lo; at < in.Hi; {
		start, size, _, kr := mach.VMRegionRecurse(task, at, maxDepth, &info)
		if kr != mach.KERN_SUCCESS || size == 0 || start+size <= at || start >= in.Hi {
			break
		}
		if perm := permissions(info.Protection, info.ShareMode); perm&snapshot.PermRead != 0 {
			im.Ranges = append(im.Ranges, goruntime.Range{Lo: max(start, in.Lo), Hi: min(start+size, in.Hi),
				Writable: perm&snapshot.PermWrite != 0, Exec: perm&snapshot.PermExec != 0})
		}
		at = start + size
	}
	return im, len(im.Ranges) > 0
}
