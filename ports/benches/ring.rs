//! What a virtual port's ring costs a frame: on one core, between two, and there and back for a single frame.
//!
//! `cargo bench -p ports --bench ring` prints one line a case. Arguments: the seconds that each runs (0 stands for
//! 2000 steps, to count instructions), and a part of the names of the cases to run. Beside each case of two cores
//! stands the round trip of an atomic between them right before and after: machines move their virtual cores, and
//! only cases of one placement can be compared.
#![forbid(unsafe_code)]

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ports::virtual_port::{DEFAULT_SLOTS, pair};
use ports::{BURST, Burst, Capabilities, Frame, Offload, Port, Rx, Tx};
use rustix::thread::{CpuSet, sched_setaffinity};

const SLOT: usize = 2048;

/// What frames are made of. It starts on a cache line, as in a slot: else each second load spans two.
#[repr(align(64))]
struct Template([u8; SLOT]);

static TEMPLATE: Template = Template([7; SLOT]);

/// Keeps this thread on a core. A machine without it does not run the cases of two cores.
fn pin(core: usize) -> bool {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).is_ok()
}

/// This thread's processor time: others on the machine cost nothing but their share of the caches.
fn thread_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.cast_unsigned(), u32::try_from(t.tv_nsec).unwrap_or_default())
}

/// Runs `step`, which moves some frames, for as long as asked; nanoseconds a frame, the best of five parts.
fn nanoseconds(run: Duration, mut step: impl FnMut() -> usize) -> f64 {
    let mut part = || {
        let (begin, mut frames) = (thread_time(), 0);
        loop {
            frames += (0..400).map(|_| step()).sum::<usize>();
            let took = thread_time() - begin;
            if took >= run / 5 {
                return took.as_secs_f64() * 1e9 / frames as f64;
            }
        }
    };
    (0..5).map(|_| part()).fold(f64::INFINITY, f64::min)
}

/// Runs cases and prints them.
struct Report {
    run: Duration,
    /// Only cases with this in their names.
    only: String,
}

impl Report {
    fn asked() -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        let seconds = arguments.iter().find_map(|arg| arg.parse::<f64>().ok()).unwrap_or(1.0);
        let only = arguments.into_iter().find(|arg| arg.parse::<f64>().is_err()).unwrap_or_default();
        Self { run: Duration::from_secs_f64(seconds), only }
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// A case on one core. `beside` is what it is compared to; both in ns.
    fn one_core(&self, name: &str, len: usize, beside: f64, step: impl FnMut() -> usize) {
        if self.wants(name) {
            let ns = nanoseconds(self.run, step);
            print_row(name, len, ns, &format!("{:6.2} x copy", ns / beside));
        }
    }

    /// A case on two cores, given the time to run, between two looks at how far apart the cores are.
    fn two_cores(&self, name: &str, len: usize, case: impl Fn(Duration) -> f64) {
        if self.wants(name) {
            let before = round_trip();
            let ns = case(self.run.max(Duration::from_millis(20)));
            print_row(name, len, ns, &format!("round trip {before:.0}, {:.0} ns", round_trip()));
        }
    }
}

fn print_row(name: &str, len: usize, ns: f64, beside: &str) {
    let (mpps, gbits) = (1e3 / ns, len as f64 * 8.0 / ns);
    println!("{name:<46} {ns:7.2} ns {mpps:8.2} Mpps {gbits:8.1} Gbit/s {beside}");
}

/// The bare copy, slot by slot, frames starting where a ring has them start.
fn copy(run: Duration, len: usize) -> f64 {
    let slots = usize::from(DEFAULT_SLOTS);
    let (from, mut to) = (vec![1u8; slots * SLOT], vec![2u8; slots * SLOT]);
    let mut slot = 0;
    nanoseconds(run, || {
        for _ in 0..BURST {
            let at = slot * SLOT + 64 + (slot & 7) * 64;
            black_box(&mut to)[at..at + len].copy_from_slice(&from[at..][..black_box(len)]);
            slot = (slot + 1) % slots;
        }
        BURST
    })
}

fn cable() -> (Port, Port) {
    pair("bench", DEFAULT_SLOTS, Capabilities::all(1500)).expect("memory for two rings")
}

/// Takes a burst, with `look` at each frame, and gives it back.
fn drain(rx: &mut dyn Rx, mut look: impl FnMut(&Frame<'_>)) -> usize {
    let mut burst = Burst::new();
    rx.receive(&mut burst);
    burst.iter().for_each(&mut look);
    let n = burst.len();
    drop(burst);
    if n > 0 {
        rx.release(n);
    }
    n
}

/// Makes up to `n` frames in place and publishes them.
fn make(tx: &mut dyn Tx, n: usize, template: &[u8]) -> usize {
    for made in 0..n {
        let Some(slot) = tx.reserve(template.len()) else {
            tx.flush();
            return made;
        };
        slot.copy_from_slice(template);
        tx.commit(template.len(), Offload::NONE);
    }
    tx.flush();
    n
}

fn on_one_core(report: &Report, len: usize) {
    let bytes = &TEMPLATE.0[..len];
    let bare = copy(report.run.min(Duration::from_millis(500)), len);
    println!("{:<46} {bare:7.2} ns", format!("{len} B: bare copy"));
    for burst in [BURST, 32, 1] {
        let frames = vec![Frame::new(bytes); burst];
        let (mut far, mut near) = cable();
        report.one_core(&format!("{len} B: one core, transmit, burst {burst}"), len, bare, || {
            near.tx.transmit(&frames);
            near.tx.flush();
            drain(&mut *far.rx, |_| ())
        });
        let (mut far, mut near) = cable();
        report.one_core(&format!("{len} B: one core, reserve, burst {burst}"), len, bare, || {
            make(&mut *near.tx, burst, bytes);
            drain(&mut *far.rx, |_| ())
        });
    }
}

/// What is timed of two cores at once: short, so that some parts are without others who use the cores.
const PART: Duration = Duration::from_millis(2);

/// Runs `there` on this core and `back` on core 1 until the time is over; nanoseconds of one of what `there` counts, the
/// best of its parts.
fn side_by_side(run: Duration, mut there: impl FnMut() -> u64, mut back: impl FnMut() + Send) -> f64 {
    let (ready, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            ready.store(true, Ordering::Release);
            while !over.load(Ordering::Relaxed) {
                back();
            }
        });
        while !ready.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let mut part = || {
            let (begin, mut count) = (Instant::now(), 0);
            loop {
                count += (0..64).map(|_| there()).sum::<u64>();
                let took = begin.elapsed();
                if took >= PART {
                    return took.as_secs_f64() * 1e9 / count as f64;
                }
            }
        };
        let begin = Instant::now();
        let mut best = part();
        while begin.elapsed() < run {
            best = best.min(part());
        }
        over.store(true, Ordering::Relaxed);
        best
    })
}

#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// The round trip of one atomic between the two cores, ns: a cache line there, another back.
fn round_trip() -> f64 {
    let (ping, pong) = (Line::default(), Line::default());
    let mut sent = 0;
    let there = || {
        sent += 1;
        ping.0.store(sent, Ordering::Release);
        // Bounded, since the other side stops first when the time is over.
        (0..100_000).find(|_| pong.0.load(Ordering::Acquire) == sent);
        1
    };
    let back = || pong.0.store(ping.0.load(Ordering::Acquire), Ordering::Release);
    side_by_side(Duration::from_millis(40), there, back)
}

/// Frames made or copied in on core 0, taken out on core 1, which copies them once more or looks at their headers.
fn stream(run: Duration, len: usize, burst: usize, whole: bool) -> f64 {
    let (mut far, mut near) = cable();
    let bytes = &TEMPLATE.0[..len];
    let frames = vec![Frame::new(bytes); burst];
    let mut to = vec![0; if whole { len } else { 14 }];
    let there = || {
        let taken = near.tx.transmit(&frames).taken;
        near.tx.flush();
        if taken == 0 {
            spin_loop();
        }
        taken as u64
    };
    let back = || {
        if drain(&mut *far.rx, |frame| _ = black_box(&frame).head(black_box(&mut to))) == 0 {
            spin_loop();
        }
    };
    side_by_side(run, there, back)
}

/// One frame there through one ring, and back through the other.
fn ping_pong(run: Duration, len: usize) -> f64 {
    let (mut far, mut near) = cable();
    let bytes = &TEMPLATE.0[..len];
    let frame = [Frame::new(bytes)];
    let there = || {
        near.tx.transmit(&frame);
        near.tx.flush();
        let mut header = [0; 14];
        (0..100_000).find(|_| drain(&mut *near.rx, |frame| _ = frame.head(black_box(&mut header))) > 0);
        1
    };
    let back = || {
        let mut burst = Burst::new();
        far.rx.receive(&mut burst);
        if !burst.is_empty() {
            far.tx.transmit(&burst);
            far.tx.flush();
            let n = burst.len();
            drop(burst);
            far.rx.release(n);
        }
    };
    side_by_side(run, there, back)
}

fn on_two_cores(report: &Report, len: usize) {
    for burst in [BURST, 32, 1] {
        let name = format!("{len} B: two cores, copied in and out, burst {burst}");
        report.two_cores(&name, len, |run| stream(run, len, burst, true));
    }
    report.two_cores(&format!("{len} B: two cores, headers read, burst 256"), len, |run| {
        stream(run, len, BURST, false)
    });
    report
        .two_cores(&format!("{len} B: two cores, one frame there and back"), len, |run| ping_pong(run, len));
}

fn main() {
    let report = Report::asked();
    for len in [64, 1514] {
        on_one_core(&report, len);
    }
    if !pin(1) || !pin(0) {
        println!("two cores: not run, there is no core 1 for us");
        return;
    }
    for len in [64, 1514] {
        on_two_cores(&report, len);
    }
}
