package mach

import (
	"testing"
	"unsafe"
)

// TestLayouts compares sizes and offsets with those of a C compiler for the declarations in XNU's headers.
func TestLayouts(t *testing.T) {
	var (
		region  VMRegionSubmapInfo64
		dyld    TaskDyldInfo
		basic   MachTaskBasicInfo
		thread  ThreadExtendedInfo
		x86     X86ThreadState64
		float   X86FloatState64
		arm     ARMThreadState64
		neon    ARMNeonState64
		bsd     ProcBSDInfo
		vnode   VnodeFDInfoWithPath
		socket  SocketFDInfo
		host    HostBasicInfo
		exc     X86ExceptionState64
		armExc  ARMExceptionState64
		tbasic  ThreadBasicInfo
		tident  ThreadIdentifierInfo
		times   TaskThreadTimesInfo
		ptask   ProcTaskInfo
		fd      ProcFDInfo
		anAudit AuditToken
	)
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"vm_region_submap_info_64", unsafe.Sizeof(region), 76},
		{".offset", unsafe.Offsetof(region.offset), 12},
		{".user_tag", unsafe.Offsetof(region.UserTag), 20},
		{".share_mode", unsafe.Offsetof(region.ShareMode), 47},
		{".is_submap", unsafe.Offsetof(region.IsSubmap), 48},
		{".object_id_full", unsafe.Offsetof(region.objectIDFull), 68},
		{"task_dyld_info", unsafe.Sizeof(dyld), 20},
		{"mach_task_basic_info", unsafe.Sizeof(basic), 48},
		{".user_time", unsafe.Offsetof(basic.UserTime), 24},
		{".suspend_count", unsafe.Offsetof(basic.SuspendCount), 44},
		{"task_thread_times_info", unsafe.Sizeof(times), 16},
		{"audit_token_t", unsafe.Sizeof(anAudit), 32},
		{"thread_basic_info", unsafe.Sizeof(tbasic), 40},
		{".suspend_count", unsafe.Offsetof(tbasic.SuspendCount), 32},
		{"thread_identifier_info", unsafe.Sizeof(tident), 24},
		{"thread_extended_info", unsafe.Sizeof(thread), 112},
		{".pth_curpri", unsafe.Offsetof(thread.CurPri), 36},
		{".pth_name", unsafe.Offsetof(thread.name), 48},
		{"x86_thread_state64_t", unsafe.Sizeof(x86), 168},
		{".rip", unsafe.Offsetof(x86.RIP), 128},
		{".gs", unsafe.Offsetof(x86.GS), 160},
		{"x86_float_state64_t", unsafe.Sizeof(float), 524},
		{".fpu_fcw", unsafe.Offsetof(float.FXSave), 8},
		{"x86_exception_state64_t", unsafe.Sizeof(exc), 16},
		{".faultvaddr", unsafe.Offsetof(exc.FaultVAddr), 8},
		{"arm_thread_state64_t", unsafe.Sizeof(arm), 272},
		{".fp", unsafe.Offsetof(arm.FP), 232},
		{".pc", unsafe.Offsetof(arm.PC), 256},
		{".cpsr", unsafe.Offsetof(arm.CPSR), 264},
		{"arm_neon_state64_t", unsafe.Sizeof(neon), 528},
		{".fpsr", unsafe.Offsetof(neon.FPSR), 512},
		{"arm_exception_state64_t", unsafe.Sizeof(armExc), 16},
		{"proc_bsdinfo", unsafe.Sizeof(bsd), 136},
		{".pbi_comm", unsafe.Offsetof(bsd.comm), 48},
		{".pbi_name", unsafe.Offsetof(bsd.name), 64},
		{".pbi_nfiles", unsafe.Offsetof(bsd.NFiles), 96},
		{".pbi_start_tvsec", unsafe.Offsetof(bsd.StartSec), 120},
		{"proc_taskinfo", unsafe.Sizeof(ptask), 96},
		{"proc_fdinfo", unsafe.Sizeof(fd), 8},
		{"vnode_fdinfowithpath", unsafe.Sizeof(vnode), 1200},
		{".vst_mode", unsafe.Offsetof(vnode.Mode), 28},
		{".vst_size", unsafe.Offsetof(vnode.Size), 112},
		{".vi_type", unsafe.Offsetof(vnode.VType), 160},
		{".vip_path", unsafe.Offsetof(vnode.path), 176},
		{"socket_fdinfo", unsafe.Sizeof(socket), 792},
		{".soi_type", unsafe.Offsetof(socket.SockType), 176},
		{".soi_family", unsafe.Offsetof(socket.Family), 184},
		{".soi_kind", unsafe.Offsetof(socket.Kind), 256},
		{".insi_fport", unsafe.Offsetof(socket.ForeignPort), 264},
		{".insi_vflag", unsafe.Offsetof(socket.VFlag), 288},
		{".insi_faddr", unsafe.Offsetof(socket.Foreign), 296},
		{".insi_laddr", unsafe.Offsetof(socket.Local), 312},
		{"host_basic_info", unsafe.Sizeof(host), 48},
		{".max_mem", unsafe.Offsetof(host.maxMem), 40},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestAccessors(t *testing.T) {
	i := TaskDyldInfo{addr: pair{0x89abcdef, 0x01234567}, size: pair{0x170, 0}}
	if i.AllImageInfoAddr() != 0x0123456789abcdef || i.AllImageInfoSize() != 0x170 {
		t.Errorf("task_dyld_info: %#x, %#x", i.AllImageInfoAddr(), i.AllImageInfoSize())
	}
	b := ProcBSDInfo{comm: [16]byte{'l', 's'}, name: [32]byte{}}
	if string(b.Comm()) != "ls" || len(b.Name()) != 0 {
		t.Errorf("names %q, %q", b.Comm(), b.Name())
	}
	full := ThreadExtendedInfo{}
	for i := range full.name {
		full.name[i] = 'x'
	}
	if len(full.Name()) != 64 {
		t.Errorf("a name without NUL has %d bytes", len(full.Name()))
	}
	if got := (TimeValue{2, 3}).Micros(); got != 2000003 {
		t.Errorf("time %d", got)
	}
	token := AuditToken{5: 77}
	if token.PID() != 77 {
		t.Errorf("pid %d", token.PID())
	}
	s := ARMThreadState64{FP: 0x8012_7fff_1234_5678, LR: 0xff00_0001_0000_4000, SP: 0x16fdff000, PC: 0x00ab_8001_0000_4444}
	s.Strip()
	if s.FP != 0x7fff_1234_5678 || s.LR != 0x1_0000_4000 || s.SP != 0x16fdff000 || s.PC != 0x1_0000_4444 {
		t.Errorf("stripped %#x %#x %#x %#x", s.FP, s.LR, s.SP, s.PC)
	}
}

// TestReleaseThreads counts the released rights.
func TestReleaseThreads(t *testing.T) {
	held := map[Port]int{0x707: 1, 0x803: 2, 0x903: 1}
	freed := 0
	releaseThreads([]Port{0x707, 0x803, MACH_PORT_NULL, 0x803, MACH_PORT_DEAD, 0x903}, func(p Port) KernReturn {
		held[p]--
		return KERN_INVALID_RIGHT // an error must not prevent the release of the others
	}, func() { freed++ })
	for p, n := range held {
		if n != 0 {
			t.Errorf("port %#x: %d rights are left", p, n)
		}
	}
	if len(held) != 3 || freed != 1 {
		t.Errorf("%d ports, memory freed %d times", len(held), freed)
	}
}
