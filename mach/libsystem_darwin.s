#include "textflag.h"

// Jumps to functions of libSystem: only the linker knows the addresses of the functions.

TEXT libc_bootstrap_check_in_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_bootstrap_check_in(SB)
GLOBL	·libc_bootstrap_check_in_addr(SB), RODATA, $8
DATA	·libc_bootstrap_check_in_addr(SB)/8, $libc_bootstrap_check_in_jump<>(SB)

TEXT libc_bootstrap_look_up_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_bootstrap_look_up(SB)
GLOBL	·libc_bootstrap_look_up_addr(SB), RODATA, $8
DATA	·libc_bootstrap_look_up_addr(SB)/8, $libc_bootstrap_look_up_jump<>(SB)

TEXT libc_getsockopt_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_getsockopt(SB)
GLOBL	·libc_getsockopt_addr(SB), RODATA, $8
DATA	·libc_getsockopt_addr(SB)/8, $libc_getsockopt_jump<>(SB)

TEXT libc_host_info_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_host_info(SB)
GLOBL	·libc_host_info_addr(SB), RODATA, $8
DATA	·libc_host_info_addr(SB)/8, $libc_host_info_jump<>(SB)

TEXT libc_mach_msg_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_mach_msg(SB)
GLOBL	·libc_mach_msg_addr(SB), RODATA, $8
DATA	·libc_mach_msg_addr(SB)/8, $libc_mach_msg_jump<>(SB)

TEXT libc_mach_msg_destroy_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_mach_msg_destroy(SB)
GLOBL	·libc_mach_msg_destroy_addr(SB), RODATA, $8
DATA	·libc_mach_msg_destroy_addr(SB)/8, $libc_mach_msg_destroy_jump<>(SB)

TEXT libc_mach_port_get_refs_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_mach_port_get_refs(SB)
GLOBL	·libc_mach_port_get_refs_addr(SB), RODATA, $8
DATA	·libc_mach_port_get_refs_addr(SB)/8, $libc_mach_port_get_refs_jump<>(SB)

TEXT libc_mach_vm_read_overwrite_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_mach_vm_read_overwrite(SB)
GLOBL	·libc_mach_vm_read_overwrite_addr(SB), RODATA, $8
DATA	·libc_mach_vm_read_overwrite_addr(SB)/8, $libc_mach_vm_read_overwrite_jump<>(SB)

TEXT libc_mach_vm_region_recurse_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_mach_vm_region_recurse(SB)
GLOBL	·libc_mach_vm_region_recurse_addr(SB), RODATA, $8
DATA	·libc_mach_vm_region_recurse_addr(SB)/8, $libc_mach_vm_region_recurse_jump<>(SB)

TEXT libc_proc_pidfdinfo_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_proc_pidfdinfo(SB)
GLOBL	·libc_proc_pidfdinfo_addr(SB), RODATA, $8
DATA	·libc_proc_pidfdinfo_addr(SB)/8, $libc_proc_pidfdinfo_jump<>(SB)

TEXT libc_proc_pidinfo_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_proc_pidinfo(SB)
GLOBL	·libc_proc_pidinfo_addr(SB), RODATA, $8
DATA	·libc_proc_pidinfo_addr(SB)/8, $libc_proc_pidinfo_jump<>(SB)

TEXT libc_proc_pidpath_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_proc_pidpath(SB)
GLOBL	·libc_proc_pidpath_addr(SB), RODATA, $8
DATA	·libc_proc_pidpath_addr(SB)/8, $libc_proc_pidpath_jump<>(SB)

TEXT libc_pthread_threadid_np_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_pthread_threadid_np(SB)
GLOBL	·libc_pthread_threadid_np_addr(SB), RODATA, $8
DATA	·libc_pthread_threadid_np_addr(SB)/8, $libc_pthread_threadid_np_jump<>(SB)

TEXT libc_sysctl_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_sysctl(SB)
GLOBL	·libc_sysctl_addr(SB), RODATA, $8
DATA	·libc_sysctl_addr(SB)/8, $libc_sysctl_jump<>(SB)

TEXT libc_sysctlbyname_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_sysctlbyname(SB)
GLOBL	·libc_sysctlbyname_addr(SB), RODATA, $8
DATA	·libc_sysctlbyname_addr(SB)/8, $libc_sysctlbyname_jump<>(SB)

TEXT libc_task_get_exception_ports_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_get_exception_ports(SB)
GLOBL	·libc_task_get_exception_ports_addr(SB), RODATA, $8
DATA	·libc_task_get_exception_ports_addr(SB)/8, $libc_task_get_exception_ports_jump<>(SB)

TEXT libc_task_get_special_port_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_get_special_port(SB)
GLOBL	·libc_task_get_special_port_addr(SB), RODATA, $8
DATA	·libc_task_get_special_port_addr(SB)/8, $libc_task_get_special_port_jump<>(SB)

TEXT libc_task_identity_token_get_task_port_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_identity_token_get_task_port(SB)
GLOBL	·libc_task_identity_token_get_task_port_addr(SB), RODATA, $8
DATA	·libc_task_identity_token_get_task_port_addr(SB)/8, $libc_task_identity_token_get_task_port_jump<>(SB)

TEXT libc_task_info_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_info(SB)
GLOBL	·libc_task_info_addr(SB), RODATA, $8
DATA	·libc_task_info_addr(SB)/8, $libc_task_info_jump<>(SB)

TEXT libc_task_resume_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_resume(SB)
GLOBL	·libc_task_resume_addr(SB), RODATA, $8
DATA	·libc_task_resume_addr(SB)/8, $libc_task_resume_jump<>(SB)

TEXT libc_task_set_exception_ports_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_set_exception_ports(SB)
GLOBL	·libc_task_set_exception_ports_addr(SB), RODATA, $8
DATA	·libc_task_set_exception_ports_addr(SB)/8, $libc_task_set_exception_ports_jump<>(SB)

TEXT libc_task_suspend_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_suspend(SB)
GLOBL	·libc_task_suspend_addr(SB), RODATA, $8
DATA	·libc_task_suspend_addr(SB)/8, $libc_task_suspend_jump<>(SB)

TEXT libc_task_threads_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_task_threads(SB)
GLOBL	·libc_task_threads_addr(SB), RODATA, $8
DATA	·libc_task_threads_addr(SB)/8, $libc_task_threads_jump<>(SB)

TEXT libc_thread_get_state_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_thread_get_state(SB)
GLOBL	·libc_thread_get_state_addr(SB), RODATA, $8
DATA	·libc_thread_get_state_addr(SB)/8, $libc_thread_get_state_jump<>(SB)

TEXT libc_thread_info_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_thread_info(SB)
GLOBL	·libc_thread_info_addr(SB), RODATA, $8
DATA	·libc_thread_info_addr(SB)/8, $libc_thread_info_jump<>(SB)

TEXT libc_thread_resume_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_thread_resume(SB)
GLOBL	·libc_thread_resume_addr(SB), RODATA, $8
DATA	·libc_thread_resume_addr(SB)/8, $libc_thread_resume_jump<>(SB)

TEXT libc_thread_suspend_jump<>(SB), NOSPLIT, $0-0
	JMP	libc_thread_suspend(SB)
GLOBL	·libc_thread_suspend_addr(SB), RODATA, $8
DATA	·libc_thread_suspend_addr(SB)/8, $libc_thread_suspend_jump<>(SB)
