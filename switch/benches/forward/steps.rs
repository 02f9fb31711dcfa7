//! The account of one frame: what each step of its way takes.

use std::time::{Duration, Instant};

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{BURST, Burst, Capabilities};

use crate::bed::{Bed, frame, mac, write};
use crate::report::Report;

/// Times of one step, one for each burst.
#[derive(Default)]
struct Step(Vec<Duration>);

impl Step {
    fn time<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let out = step();
        self.0.push(begin.elapsed());
        out
    }

    /// Nanoseconds a frame, of the burst in the middle.
    fn median(mut self) -> f64 {
        self.0.sort_unstable();
        self.0.get(self.0.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e9 / BURST as f64)
    }
}

/// Has bursts cross a switch, and two ports without one, step by step. What classifying takes is what the switch needs
/// more than receiving, copying and releasing.
pub(crate) fn steps(report: &Report, len: usize) {
    if !report.wants(&format!("{len}/step")) {
        return;
    }
    let [written, published, forward, flushed, taken, freed] = across_the_switch(report.run, len);
    let [received, copied, released] = between_ports(report.run, len);
    let classified = (forward - received - copied - released).max(0.0);
    let steps = [
        ("write", "generator: reserve, write, commit", written),
        ("publish", "generator: publish", published),
        ("receive", "switch: receive", received),
        ("classify", "switch: learn, look up, sort", classified),
        ("copy", "switch: copy into the egress ring", copied),
        ("release", "switch: release", released),
        ("flush", "switch: publish", flushed),
        ("sink-receive", "sink: receive", taken),
        ("sink-release", "sink: release", freed),
    ];
    for (key, name, ns) in steps {
        report.figure(&format!("step/{key}"), name, ns);
    }
}

/// Runs a burst again and again for this long.
fn again(run: Duration, mut burst: impl FnMut()) {
    let begin = Instant::now();
    while begin.elapsed() < run {
        burst();
    }
}

fn across_the_switch(run: Duration, len: usize) -> [f64; 6] {
    let bytes = frame(mac(1), mac(0), len);
    let mut bed = Bed::new(2, Capabilities::all(1500), 1 << 16);
    let [mut written, mut published, mut forward, mut flushed, mut taken, mut freed] =
        std::array::from_fn(|_| Step::default());
    again(run, || {
        written.time(|| write(&mut *bed.apps[0].tx, len, BURST, |slot| slot.copy_from_slice(&bytes)));
        published.time(|| bed.apps[0].tx.flush());
        forward.time(|| bed.forward(0));
        flushed.time(|| bed.flush());
        let mut burst = Burst::new();
        taken.time(|| bed.apps[1].rx.receive(&mut burst));
        let frames = burst.len();
        drop(burst);
        freed.time(|| bed.apps[1].rx.release(frames));
    });
    [written, published, forward, flushed, taken, freed].map(Step::median)
}

fn between_ports(run: Duration, len: usize) -> [f64; 3] {
    let bytes = frame(mac(1), mac(0), len);
    let pair =
        |name| virtual_port::pair(name, DEFAULT_SLOTS, Capabilities::all(1500)).expect("memory for a ring");
    let ((mut ingress, mut sender), (mut egress, mut sink)) = (pair("0"), pair("1"));
    let [mut received, mut copied, mut released] = std::array::from_fn(|_| Step::default());
    again(run, || {
        write(&mut *sender.tx, len, BURST, |slot| slot.copy_from_slice(&bytes));
        sender.tx.flush();
        let mut burst = Burst::new();
        received.time(|| ingress.rx.receive(&mut burst));
        let frames = copied.time(|| egress.tx.transmit(&burst)).taken;
        drop(burst);
        released.time(|| ingress.rx.release(frames));
        egress.tx.flush();
        let mut burst = Burst::new();
        sink.rx.receive(&mut burst);
        let frames = burst.len();
        drop(burst);
        sink.rx.release(frames);
    });
    [received, copied, released].map(Step::median)
}

/// Moves so many bursts across a switch and does nothing else: what callgrind counts.
pub(crate) fn passes(len: usize, passes: usize) {
    let bytes = frame(mac(1), mac(0), len);
    let mut bed = Bed::new(2, Capabilities::all(1500), 1 << 10);
    let frames: usize = (0..passes).map(|_| bed.generate(&bytes, BURST)).sum();
    println!("{frames}");
}
