//! What the switch costs a frame: from an app's virtual port through the switch to another's, all on this thread,
//! beside a bare copy of as many bytes between two such pieces of memory.
//!
//! `cargo bench -p switch` prints one line a case. Arguments: the seconds that each runs, and a part of the names of
//! the cases to run.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{BURST, Burst, Capabilities, Frame, Mac, Offload, Port, Rx, Time};
use switch::{Forwarder, Joining, Options, PortIndex, Switch, WhenFull};

const SLOT: usize = 2048;

/// Where frames start in their slots: eight places, as in a ring, lest all compete for the same cache sets.
fn start(slot: usize) -> usize {
    slot * SLOT + 64 + (slot & 7) * 64
}

/// A frame between two stations, of `len` bytes.
fn frame(dst: Mac, src: Mac, len: usize) -> Vec<u8> {
    let mut frame = vec![0x5a; len];
    frame[..6].copy_from_slice(&dst.octets());
    frame[6..12].copy_from_slice(&src.octets());
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // IEEE's EtherType for experiments
    frame
}

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

/// The bare copy, slot by slot.
fn copy(run: Duration, len: usize) -> f64 {
    let slots = usize::from(DEFAULT_SLOTS);
    let (from, mut to) = (vec![1u8; slots * SLOT], vec![2u8; slots * SLOT]);
    let mut slot = 0;
    nanoseconds(run, || {
        for _ in 0..BURST {
            let at = start(slot);
            black_box(&mut to)[at..at + len].copy_from_slice(&from[at..][..black_box(len)]);
            slot = (slot + 1) % slots;
        }
        BURST
    })
}

/// Ports on a switch, and the app's ends of them.
struct Bench {
    forwarder: Forwarder,
    indices: Vec<PortIndex>,
    rxs: Vec<Box<dyn Rx>>,
    apps: Vec<Port>,
}

impl Bench {
    /// Ports that take what `takes` says, a station behind each.
    fn new(ports: usize, takes: Capabilities) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let mut bench = Self {
            forwarder: Forwarder::new(switch.clone()),
            indices: Vec::new(),
            rxs: Vec::new(),
            apps: Vec::new(),
        };
        for n in 0..ports {
            let name = n.to_string();
            let (port, app) = virtual_port::pair(&name, DEFAULT_SLOTS, takes).expect("memory for a ring");
            let counters = port.counters.clone();
            let joining = Joining { name, tx: port.tx, counters, when_full: WhenFull::Wait };
            bench.indices.push(switch.join(joining).expect("a new name"));
            bench.rxs.push(port.rx);
            bench.apps.push(app);
        }
        for n in 0..ports {
            bench.apps[n].tx.transmit(&[Frame::new(&frame(Mac::BROADCAST, mac(n), 60))]);
            bench.pass(n);
        }
        for n in 0..ports {
            bench.drain(n);
        }
        bench
    }

    fn pass(&mut self, ingress: usize) {
        self.forwarder.forward(self.indices[ingress], &mut *self.rxs[ingress], Time::now());
        self.forwarder.flush();
    }

    fn drain(&mut self, n: usize) -> usize {
        let mut burst = Burst::new();
        self.apps[n].rx.receive(&mut burst);
        let frames = burst.len();
        drop(burst);
        self.apps[n].rx.release(frames);
        frames
    }

    /// Sends a burst from port 0 in copies, moves it, and takes it out of the ports it went to.
    fn burst(&mut self, frames: &[Frame<'_>], to: impl Iterator<Item = usize>) -> usize {
        self.apps[0].tx.transmit(frames);
        self.apps[0].tx.flush();
        self.pass(0);
        to.map(|n| self.drain(n)).sum()
    }

    /// Sends a burst of one frame again and again, as a generator does.
    fn repeat(&mut self, template: &[u8], burst: usize) -> usize {
        let tx = &mut self.apps[0].tx;
        if let Some(slot) = tx.reserve(template.len()) {
            slot.copy_from_slice(template);
            tx.commit(template.len(), Offload::NONE);
            tx.repeat(burst - 1);
        }
        tx.flush();
        self.pass(0);
        self.drain(1)
    }

    /// Sends a burst by writing it into the ring, as a generator does with frames that differ.
    fn generate(&mut self, template: &[u8], burst: usize) -> usize {
        let tx = &mut self.apps[0].tx;
        for _ in 0..burst {
            let Some(slot) = tx.reserve(template.len()) else { break };
            slot.copy_from_slice(template);
            tx.commit(template.len(), Offload::NONE);
        }
        tx.flush();
        self.pass(0);
        self.drain(1)
    }
}

fn mac(n: usize) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n as u64)
}

/// Runs cases and prints them.
struct Report {
    run: Duration,
    /// Only cases with this in their names.
    only: String,
    len: usize,
    bare: f64,
}

impl Report {
    fn case(&self, name: &str, step: impl FnMut() -> usize) {
        let name = format!("{} B: {name}", self.len);
        if name.contains(&self.only) {
            let ns = nanoseconds(self.run, step);
            let gbits = self.len as f64 * 8.0 / ns;
            let (mpps, copies) = (1e3 / ns, ns / self.bare);
            println!("{name:<44} {ns:7.2} ns {mpps:8.2} Mpps {gbits:8.1} Gbit/s {copies:6.2} x copy");
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let seconds = arguments.iter().find_map(|arg| arg.parse::<f64>().ok()).unwrap_or(1.0);
    let only = arguments.into_iter().find(|arg| arg.parse::<f64>().is_err()).unwrap_or_default();
    let mut report = Report { run: Duration::from_secs_f64(seconds), only, len: 0, bare: 0.0 };
    for len in [64, 1514] {
        (report.len, report.bare) = (len, copy(report.run.min(Duration::from_secs(1)), len));
        println!("{len} B: bare copy {:36.2} ns", report.bare);
        two_ports(&report, len);
        for ports in [3, 16, 64, 128] {
            many_ports(&report, len, ports);
        }
    }
    offloads(&report);
}

fn two_ports(report: &Report, len: usize) {
    for burst in [256, 32, 1] {
        let bytes = frame(mac(1), mac(0), len);
        let frames = vec![Frame::new(&bytes); burst];
        let mut bench = Bench::new(2, Capabilities::all(1500));
        report.case(&format!("transmit, switch, receive, burst {burst}"), || bench.burst(&frames, 1..2));
        report.case(&format!("reserve, switch, receive, burst {burst}"), || bench.generate(&bytes, burst));
        report.case(&format!("repeat, switch, receive, burst {burst}"), || bench.repeat(&bytes, burst));
    }
}

fn many_ports(report: &Report, len: usize, ports: usize) {
    let all: Vec<_> = (1..ports).map(|n| frame(mac(n), mac(0), len)).collect();
    let frames: Vec<_> = (0..BURST).map(|n| Frame::new(&all[n % (ports - 1)])).collect();
    let mut bench = Bench::new(ports, Capabilities::all(1500));
    report.case(&format!("unicast in turn to {} ports", ports - 1), || bench.burst(&frames, 1..ports));
    let bytes = frame(Mac::BROADCAST, mac(0), len);
    let flood = vec![Frame::new(&bytes); BURST];
    report.case(&format!("flood to {} ports, a copy", ports - 1), || bench.burst(&flood, 1..ports));
}

/// Super-frames of 45 segments, and checksums left open, to a port that takes neither.
fn offloads(report: &Report) {
    let mut bytes = frame(mac(1), mac(0), 54 + 45 * 1448);
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6]);
    bytes[46] = 0x50;
    let csum = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
    let tso = Offload { gso_type: Offload::GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..csum };
    let mut bench = Bench::new(2, Capabilities::wire(1500));
    let frames = [Frame::with_offload(&bytes, tso); 4];
    report.case("super-frames segmented, a segment", || bench.burst(&frames, 1..2));
    let frames = [Frame::with_offload(&bytes[..1514], csum); 64];
    report.case("checksums completed", || bench.burst(&frames, 1..2));
}
