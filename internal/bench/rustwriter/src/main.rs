//! The reference writer as a program: dumps a process again and again and prints time, allocations and size of each dump.
//!
//!     rustdump PID TID OUT [--repeat K] [--gap-ms MS] [--limit BYTES] [--sanitize] [--crash-context FILE] [--mem]
//!
//! FILE has the layout of `crash_context::CrashContext`, as the crasher of internal/victims writes it. With --mem the dump goes
//! into memory instead of OUT.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

struct Counting;
static ALLOCS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        ALLOCS.fetch_add(1, Relaxed);
        BYTES.fetch_add(l.size() as u64, Relaxed);
        unsafe { System.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        unsafe { System.dealloc(p, l) }
    }
    unsafe fn realloc(&self, p: *mut u8, l: Layout, n: usize) -> *mut u8 {
        ALLOCS.fetch_add(1, Relaxed);
        BYTES.fetch_add(n as u64, Relaxed);
        unsafe { System.realloc(p, l, n) }
    }
}
#[global_allocator]
static A: Counting = Counting;

fn cpu_us() -> (u64, u64) {
    unsafe {
        let mut r: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut r);
        let f = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
        (f(r.ru_utime), f(r.ru_stime))
    }
}
fn hwm_kb() -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmHWM"))
        .and_then(|l| l.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.len() < 4 {
        eprintln!(
            "usage: rustdump PID TID OUT [--repeat K] [--limit BYTES] [--sanitize] [--crash-context FILE] [--mem]"
        );
        std::process::exit(2);
    }
    let pid: i32 = args[1].parse().unwrap();
    let tid: i32 = args[2].parse().unwrap();
    let out = &args[3];
    let (mut repeat, mut limit, mut sanitize, mut mem, mut gap) = (1usize, None, false, false, 0u64);
    let mut ctx: Option<String> = None;
    let mut i = 4;
    while i < args.len() {
        match args[i].as_str() {
            "--repeat" => {
                repeat = args[i + 1].parse().unwrap();
                i += 1
            }
            "--limit" => {
                limit = Some(args[i + 1].parse::<u64>().unwrap());
                i += 1
            }
            "--gap-ms" => {
                gap = args[i + 1].parse().unwrap();
                i += 1
            }
            "--crash-context" => {
                ctx = Some(args[i + 1].clone());
                i += 1
            }
            "--sanitize" => sanitize = true,
            "--mem" => mem = true,
            _ => panic!("bad arg"),
        }
        i += 1;
    }
    let base_hwm = hwm_kb();
    let mut ns = vec![];
    for k in 0..repeat {
        let a0 = ALLOCS.load(Relaxed);
        let b0 = BYTES.load(Relaxed);
        let c0 = cpu_us();
        let t = Instant::now();
        let mut w = minidump_writer::minidump_writer::MinidumpWriterConfig::new(pid, tid);
        if let Some(l) = limit {
            w.set_minidump_size_limit(l);
        }
        if sanitize {
            w.sanitize_stack();
        }
        if let Some(f) = &ctx {
            let b = std::fs::read(f).unwrap();
            let cc: crash_context::CrashContext = unsafe {
                assert_eq!(b.len(), std::mem::size_of::<crash_context::CrashContext>());
                std::ptr::read_unaligned(b.as_ptr() as *const _)
            };
            w.set_crash_context(minidump_writer::CrashContextExt { inner: cc });
        }
        let n;
        let res = if mem {
            let mut c = Cursor::new(Vec::new());
            w.write(&mut c)
        } else {
            let mut f = std::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .open(out)
                .unwrap();
            let r = w.write(&mut f);
            f.flush().unwrap();
            r
        };
        match res {
            Ok(v) => n = v.len(),
            Err(e) => {
                eprintln!("ERR {e:?}");
                std::process::exit(1)
            }
        }
        let el = t.elapsed().as_nanos() as u64;
        let c1 = cpu_us();
        ns.push(el);
        println!(
            "dump {k} ns={el} user_us={} sys_us={} allocs={} alloc_bytes={} size={n}",
            c1.0 - c0.0,
            c1.1 - c0.1,
            ALLOCS.load(Relaxed) - a0,
            BYTES.load(Relaxed) - b0
        );
        if gap > 0 {
            std::thread::sleep(std::time::Duration::from_millis(gap));
        }
    }
    ns.sort();
    println!(
        "median_ns={} min_ns={} max_ns={} hwm_kb={} base_hwm_kb={}",
        ns[ns.len() / 2],
        ns[0],
        ns[ns.len() - 1],
        hwm_kb(),
        base_hwm
    );
}
