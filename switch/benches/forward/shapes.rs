//! The shapes of traffic: bursts, sizes, ports, stations, floods, super-frames.

use std::time::Duration;

use ports::{BURST, Capabilities, Frame, Mac, Offload};

use crate::bed::{Bed, frame, mac};
use crate::report::Report;

/// Stations that a switch has room for, unless told otherwise.
const STATIONS: usize = 1 << 16;

/// Bursts between two ports: written in place, as a generator writes frames that differ; one frame repeated, as it sends
/// frames that do not; and, in two sizes, handed over in copies.
pub(crate) fn bursts(report: &Report, len: usize) {
    let bytes = frame(mac(1), mac(0), len);
    let mut bed = Bed::new(2, Capabilities::all(1500), STATIONS);
    for burst in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] {
        let name = format!("reserve, switch, receive, burst {burst}");
        report.case(&format!("burst/{burst}"), &name, || bed.generate(&bytes, burst));
        let name = format!("repeat, switch, receive, burst {burst}");
        report.case(&format!("repeat/{burst}"), &name, || bed.repeat(&bytes, burst));
    }
    for burst in [1, 256] {
        let frames = vec![Frame::new(&bytes); burst];
        let name = format!("transmit, switch, receive, burst {burst}");
        report.case(&format!("transmit/{burst}"), &name, || bed.burst(&frames, 1..2));
    }
}

/// Every size there is, in bursts of 256 or as many as the ring holds.
pub(crate) fn sizes(report: &mut Report) {
    let mut bed = Bed::new(2, Capabilities::all(65_535), STATIONS);
    for len in [64, 128, 256, 512, 1024, 1514, 2048, 4096, 9000, 65_536] {
        if !report.wants("size") {
            return;
        }
        report.turn_to(len);
        let bytes = frame(mac(1), mac(0), len);
        report.case("size", "reserve, switch, receive", || bed.generate(&bytes, BURST));
    }
}

/// Unicast in turn to every other port of a switch with `ports`.
pub(crate) fn ports(report: &Report, len: usize, ports: usize) {
    let all: Vec<_> = (1..ports).map(|n| frame(mac(n), mac(0), len)).collect();
    let frames: Vec<_> = (0..BURST).map(|n| Frame::new(&all[n % (ports - 1)])).collect();
    let mut bed = Bed::new(ports, Capabilities::all(1500), STATIONS);
    let name = format!("unicast in turn to {} ports", ports - 1);
    report.case(&format!("ports/{ports}"), &name, || bed.burst(&frames, 1..ports));
}

/// Unicast from every other port of a switch with `ports` to its neighbour: all senders, one pass, all receivers.
pub(crate) fn pairs(report: &Report, len: usize, ports: usize) {
    let frames: Vec<_> = (0..ports).step_by(2).map(|n| frame(mac(n + 1), mac(n), len)).collect();
    let mut bed = Bed::new(ports, Capabilities::all(1500), STATIONS);
    let name = format!("unicast in {} pairs of ports", ports / 2);
    report.case(&format!("pairs/{ports}"), &name, || bed.pairs(&frames, BURST));
}

/// Broadcast to every other port of a switch with `ports`; what is counted are the copies.
pub(crate) fn flood(report: &Report, len: usize, ports: usize) {
    let bytes = frame(Mac::BROADCAST, mac(0), len);
    let frames = vec![Frame::new(&bytes); BURST];
    let mut bed = Bed::new(ports, Capabilities::all(1500), STATIONS);
    let name = format!("flood to {} ports, a copy", ports - 1);
    report.case(&format!("flood/{ports}"), &name, || bed.burst(&frames, 1..ports));
}

/// From any of half of the stations, behind one port, to any of the other half, behind the other, in an order that no
/// prefetcher guesses: learning and look-up find other addresses with every frame. A power of two.
pub(crate) fn stations(report: &Report, len: usize, stations: usize) {
    if !report.wants(&format!("{len}/stations")) {
        return;
    }
    let mut bed = Bed::new(2, Capabilities::all(1500), stations.max(STATIONS));
    let half = stations / 2;
    let station = |port: usize, n: usize| mac(0x1_0000_0000 * (port + 1) + n);
    for n in 0..half {
        bed.introduce(0, station(0, n));
        bed.introduce(1, station(1, n));
    }
    let template = frame(mac(1), mac(0), len);
    let mut n = 0_usize;
    let step = || {
        bed.write(len, BURST, |slot| {
            n = n.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            slot.copy_from_slice(&template);
            slot[..6].copy_from_slice(&station(1, (n >> 40) & (half - 1)).octets());
            slot[6..12].copy_from_slice(&station(0, (n >> 20) & (half - 1)).octets());
        })
    };
    report.case(&format!("stations/{stations}"), &format!("among {stations} stations"), step);
}

/// Unicast in turn to four receivers, of which the last may have stopped; a frame that one of the other three got.
pub(crate) fn overload(report: &Report, len: usize, stopped: bool) {
    let all: Vec<_> = (1..5).map(|n| frame(mac(n), mac(0), len)).collect();
    let frames: Vec<_> = (0..BURST).map(|n| Frame::new(&all[n % 4])).collect();
    let mut bed = Bed::new(5, Capabilities::all(1500), STATIONS);
    let name = format!("to three of four ports, the fourth {}", if stopped { "stopped" } else { "well" });
    let step = |bed: &mut Bed| {
        let received = bed.burst(&frames, 1..4);
        if !stopped {
            bed.drain(4);
        }
        received
    };
    // A receiver is waited for, for 100 ms; what comes after is meant here.
    (0..64).for_each(|_| _ = step(&mut bed));
    bed.wait(Duration::from_millis(200));
    report.case(&format!("overload/{}", u8::from(stopped)), &name, || step(&mut bed));
}

/// Super-frames of 45 segments, and checksums left open, to a port that takes neither.
pub(crate) fn offloads(report: &Report) {
    let mut bytes = frame(mac(1), mac(0), 54 + 45 * 1448);
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6]);
    bytes[46] = 0x50;
    let csum = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
    let tso = Offload { gso_type: Offload::GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..csum };
    let mut bed = Bed::new(2, Capabilities::wire(1500), STATIONS);
    let frames = [Frame::with_offload(&bytes, tso); 4];
    report.case("offload/tso", "super-frames segmented, a segment", || bed.burst(&frames, 1..2));
    let frames = [Frame::with_offload(&bytes[..1514], csum); 64];
    report.case("offload/checksum", "checksums completed", || bed.burst(&frames, 1..2));
}
