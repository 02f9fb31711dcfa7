//! What the switch costs a frame: from an app's virtual port through the switch to another's, all on this thread,
//! beside a bare copy of as many bytes between two such pieces of memory.
//!
//! `cargo bench -p switch` prints one line a case. Arguments: the seconds that each runs, and a part of the names of
//! the cases to run.
#![forbid(unsafe_code)]

mod bed;

use std::hint::black_box;
use std::time::Duration;

use bed::{Bed, frame, mac};
use ports::virtual_port::DEFAULT_SLOTS;
use ports::{BURST, Capabilities, Frame, Mac, Offload};

const SLOT: usize = 2048;
/// Stations that the switch has room for, unless told otherwise.
const STATIONS: usize = 1 << 16;

/// Where frames start in their slots: eight places, as in a ring, lest all compete for the same cache sets.
fn start(slot: usize) -> usize {
    slot * SLOT + 64 + (slot & 7) * 64
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
        rounds(&report, len, 2);
        for ports in [3, 16, 64, 128] {
            many_ports(&report, len, ports);
            rounds(&report, len, ports);
        }
    }
    report.len = 64;
    for stations in [1, 16, 1 << 8, 1 << 12, 1 << 16, 1 << 20] {
        many_stations(&report, stations);
    }
    offloads(&report);
}

fn two_ports(report: &Report, len: usize) {
    for burst in [256, 32, 1] {
        let bytes = frame(mac(1), mac(0), len);
        let frames = vec![Frame::new(&bytes); burst];
        let mut bed = Bed::new(2, Capabilities::all(1500), STATIONS);
        report.case(&format!("transmit, switch, receive, burst {burst}"), || bed.burst(&frames, 1..2));
        report.case(&format!("reserve, switch, receive, burst {burst}"), || bed.generate(&bytes, burst));
        report.case(&format!("repeat, switch, receive, burst {burst}"), || bed.repeat(&bytes, burst));
    }
}

fn many_ports(report: &Report, len: usize, ports: usize) {
    let all: Vec<_> = (1..ports).map(|n| frame(mac(n), mac(0), len)).collect();
    let frames: Vec<_> = (0..BURST).map(|n| Frame::new(&all[n % (ports - 1)])).collect();
    let mut bed = Bed::new(ports, Capabilities::all(1500), STATIONS);
    report.case(&format!("unicast in turn to {} ports", ports - 1), || bed.burst(&frames, 1..ports));
    let bytes = frame(Mac::BROADCAST, mac(0), len);
    let flood = vec![Frame::new(&bytes); BURST];
    report.case(&format!("flood to {} ports, a copy", ports - 1), || bed.burst(&flood, 1..ports));
}

/// A burst of every port to the next.
fn rounds(report: &Report, len: usize, ports: usize) {
    let bytes: Vec<_> = (0..ports).map(|n| frame(mac((n + 1) % ports), mac(n), len)).collect();
    let bursts: Vec<_> = bytes.iter().map(|bytes| vec![Frame::new(bytes); 32]).collect();
    let mut bed = Bed::new(ports, Capabilities::all(1500), STATIONS);
    report.case(&format!("each of {ports} ports to the next, burst 32"), || bed.round(&bursts));
}

/// So many stations as destinations and as sources, in an order without locality.
fn many_stations(report: &Report, stations: usize) {
    let template = frame(Mac::ZERO, Mac::ZERO, 64);
    let mut bed = Bed::new(2, Capabilities::all(1500), stations.max(STATIONS));
    bed.learn(1, 1..stations + 1);
    let mut n = 0_usize;
    let mut next = || {
        n = n.wrapping_add(0x9e37_79b9);
        mac(1 + n % stations)
    };
    report.case(&format!("to {stations} stations"), || bed.generate_flows(&template, || (next(), mac(0))));
    // The very stations, heard on the other side from now on.
    bed.learn(1, stations + 1..stations + 2);
    report.case(&format!("from {stations} stations"), || {
        bed.generate_flows(&template, || (mac(stations + 1), next()))
    });
}

/// Super-frames of 45 segments, and checksums left open, to a port that takes neither.
fn offloads(report: &Report) {
    let mut bytes = frame(mac(1), mac(0), 54 + 45 * 1448);
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6]);
    bytes[46] = 0x50;
    let csum = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
    let tso = Offload { gso_type: Offload::GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..csum };
    let mut bed = Bed::new(2, Capabilities::wire(1500), STATIONS);
    let frames = [Frame::with_offload(&bytes, tso); 4];
    report.case("super-frames segmented, a segment", || bed.burst(&frames, 1..2));
    let frames = [Frame::with_offload(&bytes[..1514], csum); 64];
    report.case("checksums completed", || bed.burst(&frames, 1..2));
}
