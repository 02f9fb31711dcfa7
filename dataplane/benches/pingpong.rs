//! How long a frame takes through the switch and back: two apps on two busy workers, each on a core of its own, one frame
//! under way at a time; beside the round trip of one word between these cores, before and after.
//!
//! `cargo bench -p dataplane --bench pingpong -- [CORE CORE]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dataplane::appliance::{Appliance, Hosting, Options};
use dataplane::worker::cores;
use dataplane::worker::idle::Policy;
use ports::{App, Burst, Frame, Mac, Port, Progress, Time};

/// Round trips that are measured, after as many that are not.
const TRIPS: usize = 200_000;
/// Bounces of the word that are timed together.
const BOUNCES: u64 = 200;
const PING: Mac = Mac::from_bits(0x02_00_00_00_00_01);
const PONG: Mac = Mac::from_bits(0x02_00_00_00_00_02);

fn frame(dst: Mac, src: Mac) -> [u8; 60] {
    let mut bytes = [0; 60];
    bytes[..6].copy_from_slice(&dst.octets());
    bytes[6..12].copy_from_slice(&src.octets());
    bytes
}

/// Takes what waits, and says how many there were.
fn take(port: &mut Port) -> usize {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let n = burst.len();
    drop(burst);
    port.rx.release(n);
    n
}

/// Sends a frame when the one before has come back.
struct Ping {
    since: Option<Time>,
    trips: Vec<u64>,
    done: Sender<Vec<u64>>,
}

impl App for Ping {
    fn poll(&mut self, port: &mut Port, _now: Time) -> Progress {
        let came = take(port) > 0;
        if came || self.since.is_none() {
            let now = Time::now();
            if let Some(since) = self.since.filter(|_| self.trips.len() < self.trips.capacity()) {
                self.trips.push(u64::try_from(now.since(since).as_nanos()).unwrap_or(u64::MAX));
            }
            if self.trips.len() == self.trips.capacity() {
                let _ = self.done.send(std::mem::take(&mut self.trips));
                return Progress { busy: true, deadline: Time::NEVER, done: true };
            }
            self.since = Some(now);
            port.tx.transmit(&[Frame::new(&frame(PONG, PING))]);
        }
        Progress { busy: came, deadline: Time::NEVER, done: false }
    }

    fn stop(&mut self, _now: Time) {}
}

/// Says hello, and sends back what comes.
struct Pong {
    hello: bool,
}

impl App for Pong {
    fn poll(&mut self, port: &mut Port, _now: Time) -> Progress {
        if !self.hello {
            self.hello = true;
            port.tx.transmit(&[Frame::new(&frame(Mac::BROADCAST, PONG))]);
        }
        let came = take(port) > 0;
        if came {
            port.tx.transmit(&[Frame::new(&frame(PING, PONG))]);
        }
        Progress { busy: came, deadline: Time::NEVER, done: false }
    }

    fn stop(&mut self, _now: Time) {}
}

/// Nanoseconds of a word's way between two cores and back: the median.
fn bounce(near: usize, far: usize) -> f64 {
    const RUN: Duration = Duration::from_millis(20);
    let ball = AtomicU64::new(0);
    let mut trips = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = cores::pin(far);
            let mut seen = 0;
            while seen != u64::MAX {
                if seen % 2 == 1 {
                    ball.store(seen + 1, Ordering::Release);
                }
                seen = ball.load(Ordering::Acquire);
            }
        });
        let play = scope.spawn(|| {
            let _ = cores::pin(near);
            let (begin, mut at) = (Instant::now(), 0);
            while begin.elapsed() < RUN {
                let start = Instant::now();
                for _ in 0..BOUNCES {
                    ball.store(at + 1, Ordering::Release);
                    at += 2;
                    while ball.load(Ordering::Acquire) != at {}
                }
                trips.push(start.elapsed().as_secs_f64() * 1e9 / BOUNCES as f64);
            }
            ball.store(u64::MAX, Ordering::Release);
        });
        let _ = play.join();
    });
    trips.sort_unstable_by(f64::total_cmp);
    trips[trips.len() / 2]
}

/// Round trips of frames, sorted, ns.
fn trips(near: usize, far: usize) -> Vec<u64> {
    let appliance =
        Appliance::new(Options { idle: Policy::Busy, ..Options::default() }).expect("two workers");
    let appliance = Arc::new(appliance);
    let host = |name: &str, core, app: Box<dyn App>| -> Hosting {
        appliance.host(&name.parse().expect("a name"), Some(core), |_| Ok(app)).expect("a port")
    };
    let _pong = host("vale0:pong", far, Box::new(Pong { hello: false }));
    let (done, trips) = channel();
    let ping = Ping { since: None, trips: Vec::with_capacity(2 * TRIPS), done };
    let _ping = host("vale0:ping", near, Box::new(ping));
    let mut trips = trips.recv().expect("the ping is on its way").split_off(TRIPS);
    trips.sort_unstable();
    trips
}

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let cores = if given.is_empty() { cores::available() } else { given };
    let [near, far, ..] = cores[..] else {
        println!("pingpong: takes two cores");
        return;
    };
    for _ in 0..3 {
        let (before, trips, after) = (bounce(near, far), trips(near, far), bounce(near, far));
        let at = |part: f64| trips[((trips.len() - 1) as f64 * part) as usize];
        let word = f64::midpoint(before, after);
        println!(
            "word {before:.0} and {after:.0} ns; frame p50 {} ns ({:.1} words), p90 {}, p99 {}, p99.9 {}, max {}",
            at(0.5),
            at(0.5) as f64 / word,
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
}
