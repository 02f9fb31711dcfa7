//! How long a word takes from one core to another and back: two pinned threads bounce one atomic.
//!
//! A virtual machine's cores may be moved apart by its host, which no tool of the guest shows. Whatever crosses two
//! cores follows this figure by factors, so it is printed beside each, and runs are compared at equal figures only.
//!
//! `cargo bench -p switch --bench core-to-core -- [CORE CORE]` prints the median round trip of 20 ms, nanoseconds.
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

/// Answers each odd number with the next even one.
fn answer(ball: &Ball) {
    let mut seen = 0;
    loop {
        let now = ball.0.load(Ordering::Acquire);
        if now == END {
            return;
        }
        if now != seen && now % 2 == 1 {
            seen = now + 1;
            ball.0.store(seen, Ordering::Release);
        }
        std::hint::spin_loop();
    }
}

/// Nanoseconds a round trip, sorted.
fn bounce(ball: &Ball) -> Vec<f64> {
    let (begin, mut at, mut trips) = (Instant::now(), 0, Vec::new());
    while begin.elapsed() < RUN {
        let start = Instant::now();
        for _ in 0..BOUNCES {
            ball.0.store(at + 1, Ordering::Release);
            at += 2;
            while ball.0.load(Ordering::Acquire) != at {
                std::hint::spin_loop();
            }
        }
        trips.push(start.elapsed().as_secs_f64() * 1e9 / BOUNCES as f64);
    }
    ball.0.store(END, Ordering::Release);
    trips.sort_unstable_by(f64::total_cmp);
    trips
}

fn main() {
    let cores: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (near, far) = match cores[..] {
        [near, far] if near != far => (near, far),
        [] => (0, 1),
        _ => {
            eprintln!("core-to-core: two different cores, please (try: core-to-core 0 1)");
            std::process::exit(1);
        }
    };
    let ball = Ball(AtomicU64::new(0));
    let trips = thread::scope(|scope| {
        scope.spawn(|| {
            pin(far);
            answer(&ball);
        });
        pin(near);
        bounce(&ball)
    });
    println!("{:.1}", trips[trips.len() / 2]);
}
