package mach

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestDestroy releases the rights of a message that nothing reads.
func TestDestroy(t *testing.T) {
	port, kr := PortAllocate(MACH_PORT_RIGHT_RECEIVE)
	ok(t, "mach_port_allocate", kr)
	defer PortModRefs(port, MACH_PORT_RIGHT_RECEIVE, -1)
	ok(t, "mach_port_insert_right", PortInsertRight(port, port, MACH_MSG_TYPE_MAKE_SEND))
	before, kr := PortGetRefs(port, MACH_PORT_RIGHT_SEND)
	ok(t, "mach_port_get_refs", kr)
	var m [HeaderSize + 4 + PortDescriptorSize]byte
	h := Header{Bits: Bits(MACH_MSG_TYPE_COPY_SEND, 0) | MACH_MSGH_BITS_COMPLEX, Size: uint32(len(m)), Remote: port, ID: 1}
	h.Put(m[:])
	m[HeaderSize] = 1
	PutPortDescriptor(m[HeaderSize+4:], port, MACH_MSG_TYPE_COPY_SEND)
	ok(t, "send", Send(m[:], 1000))
	var in [len(m) + MaxTrailerSize]byte
	ok(t, "receive", Receive(port, in[:], MACH_RCV_TRAILER_AUDIT, 1000))
	if sender, is := Sender(in[:]); !is || sender.PID() != os.Getpid() {
		t.Errorf("sender %v, %v", sender, is)
	}
	if n, _ := PortGetRefs(port, MACH_PORT_RIGHT_SEND); n != before+1 {
		t.Errorf("%d rights after the message, %d before", n, before)
	}
	Destroy(in[:])
	if n, _ := PortGetRefs(port, MACH_PORT_RIGHT_SEND); n != before {
		t.Errorf("%d rights in the end, %d before", n, before)
	}
}

// TestReadEnded reads the status of a child that has ended and was not waited for.
func TestReadEnded(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-no.such.flag") // status 2
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	var i ProcBSDInfo
	for end := time.Now().Add(20 * time.Second); i.Status != SZOMB && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err := i.ReadEnded(c.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if i.Status != SZOMB || i.XStatus != 2<<8 {
		t.Errorf("%+v", i)
	}
	if err := i.Read(c.Process.Pid); err == nil {
		t.Error("Read finds a process that has ended")
	}
}
