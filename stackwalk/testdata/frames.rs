// Threads that stand deep in generic functions, closures, trait objects and sorting, of the standard library too. It prints "ready PID".
use std::sync::{Arc, Barrier};
use std::{thread, time::Duration};

trait Visit {
    fn visit(&self, depth: u64) -> u64;
}

struct Twice<T>(T);

impl<T: Fn(u64) -> u64> Visit for Twice<T> {
    fn visit(&self, depth: u64) -> u64 {
        (self.0)(depth) + (self.0)(depth + 1)
    }
}

#[inline(never)]
fn deep<F: Fn() -> u64>(n: u64, end: &F) -> u64 {
    let x = [n; 17];
    if n == 0 { end() } else { deep(n - 1, end).wrapping_add(x[n as usize % 17]) }
}

fn sorted(end: &dyn Fn() -> u64) -> usize {
    let mut list: Vec<u64> = (0..50).rev().collect();
    list.sort_by(|a, b| {
        if *a == 25 { end(); }
        a.cmp(b)
    });
    list.len()
}

fn mapped(end: &dyn Fn() -> u64) -> u64 {
    (0..3u64).map(|i| Some(i)).filter_map(|x| x.map(|v| v + if v == 1 { end() } else { 0 })).fold(0, |a, b| a ^ b)
}

fn main() {
    let barrier = Arc::new(Barrier::new(5));
    for kind in 0..4 {
        let b = barrier.clone();
        thread::Builder::new().name(format!("kind {kind}")).spawn(move || {
            let end = || { b.wait(); loop { thread::sleep(Duration::from_secs(60)) } };
            match kind {
                0 => { deep(20, &end); }
                1 => { sorted(&end); }
                2 => { let v: Box<dyn Visit> = Box::new(Twice(|d| deep(d, &end))); v.visit(7); }
                _ => { mapped(&end); }
            }
        }).unwrap();
    }
    barrier.wait();
    thread::sleep(Duration::from_millis(100));
    println!("ready {}", std::process::id());
    let result = std::panic::catch_unwind(|| deep(5, &|| loop { thread::sleep(Duration::from_secs(60)) }));
    drop(result);
}
