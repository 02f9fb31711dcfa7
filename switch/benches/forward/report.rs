//! Times cases, and prints them for people or for a script.

use std::hint::black_box;
use std::time::Duration;

use ports::BURST;
use ports::virtual_port::DEFAULT_SLOTS;

const SLOT: usize = 2048;

/// This thread's processor time: others on the machine cost nothing but their share of the caches.
fn thread_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.cast_unsigned(), u32::try_from(t.tv_nsec).unwrap_or_default())
}

/// Runs `step`, which moves some frames, for as long as asked; nanoseconds a frame, the best of five parts.
fn nanoseconds(run: Duration, mut step: impl FnMut() -> usize) -> f64 {
    let part = |step: &mut dyn FnMut() -> usize| {
        let (begin, mut frames) = (thread_time(), 0);
        while thread_time() - begin < run / 5 {
            frames += (0..64).map(|_| step()).sum::<usize>();
        }
        (thread_time() - begin).as_secs_f64() * 1e9 / frames as f64
    };
    (0..5).map(|_| part(&mut step)).fold(f64::INFINITY, f64::min)
}

/// Slots that a frame of `len` bytes takes.
const fn slots(len: usize) -> usize {
    if len <= SLOT - 512 { 1 } else { len.div_ceil(SLOT) }
}

/// The bare copy, frame by frame, between two pieces of memory as large as rings. Frames start at eight different
/// places in their slots, as in a ring, lest all compete for the same cache sets.
fn copy(run: Duration, len: usize) -> f64 {
    let (slots, each) = (usize::from(DEFAULT_SLOTS), slots(len));
    let (from, mut to) = (vec![1u8; (slots + 1) * SLOT], vec![2u8; (slots + 1) * SLOT]);
    let mut slot = 0;
    nanoseconds(run, || {
        for _ in 0..BURST {
            let at = slot * SLOT + 64 + (slot & 7) * 64;
            black_box(&mut to)[at..at + len].copy_from_slice(&from[at..][..black_box(len)]);
            slot += each;
            if slot + each > slots {
                slot = 0;
            }
        }
        BURST
    })
}

/// Runs cases and prints them.
pub(crate) struct Report {
    /// How long each case runs.
    pub(crate) run: Duration,
    /// Only cases with this in their names.
    pub(crate) only: String,
    /// One line a figure: `NAME<TAB>VALUE<TAB>ns`.
    pub(crate) tabbed: bool,
    /// Length of the frames now, bytes, and what a bare copy of them takes, ns.
    len: usize,
    bare: f64,
}

impl Report {
    pub(crate) const fn new(run: Duration, only: String, tabbed: bool) -> Self {
        Self { run, only, tabbed, len: 0, bare: 0.0 }
    }

    /// Turns to frames of `len` bytes: measures their bare copy and says it.
    pub(crate) fn turn_to(&mut self, len: usize) {
        (self.len, self.bare) = (len, copy(self.run.min(Duration::from_secs(1)), len));
        if self.tabbed {
            println!("{len}/copy\t{:.3}\tns", self.bare);
        } else {
            println!("{len} B: bare copy {:36.2} ns", self.bare);
        }
    }

    /// One case: `step` moves frames and says how many. `key` names it to scripts, `name` to people.
    pub(crate) fn case(&self, key: &str, name: &str, step: impl FnMut() -> usize) {
        let (key, name) = (format!("{}/{key}", self.len), format!("{} B: {name}", self.len));
        if !name.contains(&self.only) && !key.contains(&self.only) {
            return;
        }
        let ns = nanoseconds(self.run, step);
        if self.tabbed {
            println!("{key}\t{ns:.3}\tns");
        } else {
            let gbits = self.len as f64 * 8.0 / ns;
            let (mpps, copies) = (1e3 / ns, ns / self.bare);
            println!("{name:<44} {ns:7.2} ns {mpps:8.2} Mpps {gbits:8.1} Gbit/s {copies:6.2} x copy");
        }
    }

    /// A figure that was measured otherwise, in nanoseconds a frame.
    pub(crate) fn figure(&self, key: &str, name: &str, ns: f64) {
        if self.tabbed {
            println!("{}/{key}\t{ns:.3}\tns", self.len);
        } else {
            let (name, copies) = (format!("{} B: {name}", self.len), ns / self.bare);
            println!("{name:<44} {ns:7.2} ns {:>34} {copies:6.2} x copy", "");
        }
    }

    /// Whether any case whose key begins like this is asked for: setting up a million stations takes a while.
    pub(crate) fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || key.contains(&self.only) || self.only.contains(key)
    }
}
