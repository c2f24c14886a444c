package crash

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	"minidump/internal/arena"
	"minidump/internal/goruntime"
	"minidump/procfs"
)

// panicCrash finds the fault that caused the program's panic, if one did, and its registers: c is then about that fault. The thread
// c.tid, whose stack pointer is sp, is blocked in the report.
func (c *captured) panicCrash(w *minidump.Writer, pid int, sp uint64) {
	var space arena.Arena
	if space.Reserve(goruntime.FaultSpace) != nil {
		return
	}
	defer space.Release()
	image, ok := programImage(pid)
	mem, err := openMemory(pid)
	if err != nil {
		return
	}
	defer mem.file.Close()
	p := new(goruntime.Program)
	if !ok || p.Find(mem, &space, image) != nil {
		return
	}
	space.Used = 0
	var f goruntime.Fault
	switch p.FindFault(&f, mem, &space, int32(c.tid), sp) {
	case goruntime.NoFault:
		c.noFault = true
	case goruntime.FaultFound:
		crash := new(context.Crash)
		c.registers = registersFault
		if f.Memory == nil || !crash.ReadFrame(&f.Frame, f.Memory, f.At, int32(pid), int32(c.tid)) {
			c.registers = registersUnwound
			*crash = unwoundCrash(&f, pid, c.tid)
		}
		w.SetCrash(crash)
		c.crash = true
	}
}

// unwoundCrash returns a Crash for a fault. Its context has only the registers that unwinding found; the others are 0.
func unwoundCrash(f *goruntime.Fault, pid, tid int) context.Crash {
	c := context.Crash{
		Arch: context.Native, BigEndian: isBigEndian(), PID: int32(pid), TID: int32(tid),
		Signo: f.Signo, Code: int32(uint32(f.Code)), Address: f.Address, HasAddress: true,
		PC: f.PC, SP: f.SP,
	}
	n := context.EncodeCall(c.Context[:], c.Arch, nativeOrder(), f.PC, f.SP, f.FP, f.LR)
	c.ContextLen, c.HasContext = uint32(n), n > 0
	c.SetParams()
	return c
}

// programImage lists the readable mappings of a process's program: those of its file, and an anonymous mapping right after
// one, its BSS.
func programImage(pid int) (*goruntime.Image, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		return nil, false
	}
	var exe unix.Stat_t
	if err := unix.Stat(dir+"/exe", &exe); err != nil {
		return nil, false
	}
	link, err := os.Readlink(dir + "/exe")
	if err != nil {
		return nil, false
	}
	im := &goruntime.Image{Arch: context.Native, Order: nativeOrder()}
	end := uint64(0)
	for r := (procfs.MapsReader{Rest: maps}); ; {
		var m procfs.Mapping
		if !r.Next(&m) {
			break
		}
		same := m.Inode == exe.Ino && bytes.Equal(m.Name, []byte(link)) // on some file systems the device number differs here
		if !same && (m.Start != end || m.Inode != 0) {
			continue
		}
		if end = m.End; m.Perm&procfs.PermRead != 0 {
			im.Ranges = append(im.Ranges, goruntime.Range{Lo: m.Start, Hi: m.End, Writable: m.Perm&procfs.PermWrite != 0,
				Exec: m.Perm&procfs.PermExecute != 0})
		}
	}
	return im, len(im.Ranges) > 0
}
