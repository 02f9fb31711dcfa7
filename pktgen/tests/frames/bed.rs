//! Generators on virtual ports in virtual time, and a reading of their frames that shares nothing with their making.

use std::sync::{Arc, Mutex};

use pktgen::{Config, Event, Frames, Function, Generator};
use ports::virtual_port::pair;
use ports::{App, Burst, Capabilities, Mac, Port, Time};

pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

pub(crate) fn generator(config: Config) -> (Generator, Events) {
    let events = Events::default();
    let sink = events.clone();
    let tell = move |event| sink.lock().expect("no test panicked with it").push(event);
    (Generator::new(config, Some(Mac::local("bed")), Box::new(tell)).expect("a sound config"), events)
}

pub(crate) fn cable() -> (Port, Port) {
    pair("test", 256, Capabilities::all(65_535)).expect("memory for two rings")
}

/// Everything that waits at this end.
pub(crate) fn take(port: &mut Port) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len();
        frames.extend(burst.iter().map(|f| f.to_vec()));
        drop(burst);
        port.rx.release(n);
        if n == 0 {
            return frames;
        }
    }
}

/// All frames of a sender of so many, and what it said.
pub(crate) fn sent(frames: Frames, function: Function, count: u64) -> (Vec<Vec<u8>>, Vec<Event>) {
    let (mut app, events) = generator(Config { frames, count, ..Config::new("test", function) });
    let (mut far, mut near) = cable();
    let (mut frames, mut now, mut done) = (Vec::new(), 0, false);
    while !done {
        done = app.poll(&mut near, Time(now)).done;
        near.tx.flush();
        frames.extend(take(&mut far));
        now += 1_000_000;
    }
    let events = events.lock().expect("no test panicked with it").clone();
    (frames, events)
}

/// What the final report counts.
pub(crate) fn total(events: &[Event]) -> (u64, u64) {
    match events.last() {
        Some(Event::Final { packets, bytes, .. }) => (*packets, *bytes),
        other => panic!("no final: {other:?}"),
    }
}

/// Ones' complement sum of 16-bit words (RFC 1071, 4.1).
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Addresses and ports as they stand in a sound frame: source, destination, both ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) src: Vec<u8>,
    pub(crate) dst: Vec<u8>,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    /// Where the payload starts.
    pub(crate) body: usize,
}

/// Reads a frame and checks everything that can be wrong with it.
pub(crate) fn ends(frame: &[u8]) -> Ends {
    let be16 = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let mut at = 12;
    while [0x8100, 0x88a8].contains(&be16(at)) {
        at += 4;
    }
    let l3 = at + 2;
    let (addresses, l4, width) = match be16(at) {
        0x0800 => (l3 + 12, l3 + 20, 4),
        0x86dd => (l3 + 8, l3 + 40, 16),
        other => panic!("EtherType {other:#x}"),
    };
    let udp = &frame[l4..];
    let udp_len = u16::try_from(udp.len()).expect("a datagram");
    assert_eq!(be16(l4 + 4), udp_len);
    if width == 4 {
        assert_eq!(usize::from(be16(l3 + 2)), frame.len() - l3);
        assert_eq!(sum(&frame[l3..l4]), 0xffff);
    } else {
        assert_eq!(be16(l3 + 4), udp_len);
    }
    let mut covered = frame[addresses..addresses + 2 * width].to_vec();
    covered.extend([0, 17]);
    covered.extend(udp_len.to_be_bytes());
    covered.extend(udp);
    assert_eq!(sum(&covered), 0xffff);
    assert_ne!(be16(l4 + 6), 0);
    Ends {
        src: frame[addresses..addresses + width].to_vec(),
        dst: frame[addresses + width..addresses + 2 * width].to_vec(),
        src_port: be16(l4),
        dst_port: be16(l4 + 2),
        body: l4 + 8,
    }
}

/// IPv6 instead of IPv4.
pub(crate) fn v6() -> Frames {
    Frames { src: Frames::SRC_V6.into(), dst: Frames::DST_V6.into(), size: 80.into(), ..Frames::default() }
}
