//! Generators on virtual ports in virtual time, and what is read out of their frames and events.

use std::sync::{Arc, Mutex};

use pktgen::{Config, Event, Generator};
use ports::virtual_port::pair;
use ports::{Burst, Capabilities, Port};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SEC: u64 = 1_000 * MS;

pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

pub(crate) fn generator(config: Config) -> (Generator, Events) {
    let events = Events::default();
    let sink = events.clone();
    let tell = move |event| sink.lock().expect("no test panicked with it").push(event);
    (Generator::new(config, None, Box::new(tell)).expect("a sound config"), events)
}

pub(crate) fn cable(slots: u16) -> (Port, Port) {
    pair("test", slots, Capabilities::all(1500)).expect("memory for two rings")
}

/// Everything that waits at this end, up to `most` frames.
pub(crate) fn take(port: &mut Port, most: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while frames.len() < most {
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len().min(most - frames.len());
        frames.extend(burst[..n].iter().map(|f| f.to_vec()));
        drop(burst);
        port.rx.release(n);
        if n == 0 {
            break;
        }
    }
    frames
}

/// Sums over the intervals, and the final: packets, bytes, bursts.
pub(crate) fn sums(events: &[Event]) -> ([u64; 3], Option<[u64; 3]>) {
    let mut intervals = [0; 3];
    let mut last = None;
    for event in events {
        match event {
            Event::Interval { packets, bytes, batches, .. } => {
                intervals = [intervals[0] + packets, intervals[1] + bytes, intervals[2] + batches];
            }
            Event::Final { packets, bytes, events, .. } => last = Some([*packets, *bytes, *events]),
            _ => {}
        }
    }
    (intervals, last)
}

pub(crate) fn seconds(events: &[Event]) -> f64 {
    let Some(Event::Final { seconds, .. }) = events.last() else { panic!("no final: {events:?}") };
    *seconds
}

/// Ones' complement sum of 16-bit words (RFC 1071, 4.1).
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// A sound UDP frame, by a reading of its own.
pub(crate) fn assert_sound(frame: &[u8]) {
    let udp_len = u16::try_from(frame.len() - 34).expect("a frame of an Ethernet");
    let mut udp = frame[26..34].to_vec();
    udp.extend([0, 17]);
    udp.extend(udp_len.to_be_bytes());
    udp.extend(&frame[34..]);
    assert_eq!((sum(&frame[14..34]), sum(&udp)), (0xffff, 0xffff));
    assert_eq!(frame[38..40], udp_len.to_be_bytes());
    assert_eq!(usize::from(frame[16]) << 8 | usize::from(frame[17]), frame.len() - 14);
}
