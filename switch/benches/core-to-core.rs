//! How long a word takes from one core to another and back: two pinned threads bounce one atomic, or two, one each way, on
//! lines of their own, as question and answer in two rings are.
//!
//! A virtual machine's cores may be moved apart by its host, which no tool of the guest shows. Whatever crosses two
//! cores follows this figure by factors, so it is printed beside each, and runs are compared at equal figures only.
//!
//! `cargo bench -p switch --bench core-to-core -- [CORE CORE] [--two]` prints the median round trip of 20 ms, nanoseconds.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// Bounces timed together: one alone is no longer than the clock takes.
const BOUNCES: u64 = 200;
const RUN: Duration = Duration::from_millis(20);
/// Tells the other side to end.
const END: u64 = u64::MAX;

/// Alone on its cache lines, lest anything else bounces with it.
#[repr(align(128))]
struct Ball(AtomicU64);

fn pin(core: usize) {
    if !core_affinity::set_for_current(CoreId { id: core }) {
        eprintln!("core {core}: not available (try two of those that nproc counts)");
        std::process::exit(1);
    }
}

/// Answers each odd number that comes there with the next even one.
fn answer(there: &Ball, back: &Ball) {
    let mut seen = 0;
    loop {
        let now = there.0.load(Ordering::Acquire);
        if now == END {
            return;
        }
        if now > seen && now % 2 == 1 {
            seen = now + 1;
            back.0.store(seen, Ordering::Release);
        }
        std::hint::spin_loop();
    }
}

/// Nanoseconds a round trip, sorted.
fn bounce(there: &Ball, back: &Ball) -> Vec<f64> {
    let (begin, mut at, mut trips) = (Instant::now(), 0, Vec::new());
    while begin.elapsed() < RUN {
        let start = Instant::now();
        for _ in 0..BOUNCES {
            there.0.store(at + 1, Ordering::Release);
            at += 2;
            while back.0.load(Ordering::Acquire) != at {
                std::hint::spin_loop();
            }
        }
        trips.push(start.elapsed().as_secs_f64() * 1e9 / BOUNCES as f64);
    }
    there.0.store(END, Ordering::Release);
    trips.sort_unstable_by(f64::total_cmp);
    trips
}

fn main() {
    let two = std::env::args().any(|arg| arg == "--two");
    let cores: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (near, far) = match cores[..] {
        [near, far] if near != far => (near, far),
        [] => (0, 1),
        _ => {
            eprintln!("core-to-core: two different cores, please (try: core-to-core 0 1)");
            std::process::exit(1);
        }
    };
    let balls = [const { Ball(AtomicU64::new(0)) }; 2];
    let (there, back) = (&balls[0], &balls[usize::from(two)]);
    let trips = thread::scope(|scope| {
        scope.spawn(|| {
            pin(far);
            answer(there, back);
        });
        pin(near);
        bounce(there, back)
    });
    println!("{:.1}", trips[trips.len() / 2]);
}
