// A client of the crate minidumper, with the signal handlers of crash-handler, that crashes:
//
//     minidumper-client SOCKET HOW [thread]
//
// SOCKET is a path, or @ and a name in the abstract namespace. HOW is segv, abort, stack (an endless recursion), illegal, trap, fpe,
// bus, noncanonical (an address that amd64 cannot have) or request (a dump without a crash). With thread another thread crashes. The
// instructions are amd64's.

use std::hint::black_box;

#[inline(never)]
fn recurse(n: u64) -> u64 {
    let mut frame = [n; 512];
    black_box(&mut frame);
    if n == u64::MAX { 0 } else { recurse(n + 1) + frame[3] }
}

unsafe extern "C" {
    fn mmap(addr: *mut u8, len: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
    fn memfd_create(name: *const u8, flags: u32) -> i32;
}

// A page of a mapped file after the file's end.
fn past_the_end() -> *const u8 {
    unsafe {
        let fd = memfd_create(c"empty".as_ptr().cast(), 0);
        mmap(std::ptr::null_mut(), 4096, 1, 1, fd, 0)
    }
}

fn crash(how: &str, handler: &crash_handler::CrashHandler) {
    unsafe {
        match how {
            "segv" => std::ptr::write_volatile(0x45 as *mut u8, 1),
            "abort" => std::process::abort(),
            "stack" => {
                black_box(recurse(1));
            }
            "illegal" => std::arch::asm!("ud2"),
            "trap" => std::arch::asm!("int3"),
            "fpe" => std::arch::asm!("div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _),
            "bus" => {
                std::ptr::read_volatile(past_the_end());
            }
            "noncanonical" => {
                std::ptr::read_volatile(0xdead_0000_beef_0000u64 as *const u8);
            }
            "request" => {
                let _ = handler.simulate_signal(11);
            }
            _ => panic!("HOW"),
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let socket = match args[1].strip_prefix('@') {
        Some(name) => minidumper::SocketName::Abstract(name),
        None => minidumper::SocketName::path(&args[1]),
    };
    let client = minidumper::Client::with_name(socket).expect("connect");
    client.ping().expect("ping");
    client.send_message(7, b"hello").expect("message");
    client.send_message(0, b"").expect("empty message");
    let event = unsafe {
        crash_handler::make_crash_event(move |context: &crash_handler::CrashContext| {
            println!("answered: {}", client.request_dump(context).is_ok());
            crash_handler::CrashEventResult::Handled(true)
        })
    };
    let handler = crash_handler::CrashHandler::attach(event).expect("attach");
    handler.set_ptracer(None);
    let how = args[2].clone();
    if args.len() > 3 {
        std::thread::spawn(move || crash(&how, &handler)).join().expect("thread");
    } else {
        crash(&how, &handler);
    }
}
