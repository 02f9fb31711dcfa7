//! Two ends of a cable, and who is at them.

use std::sync::{Arc, Mutex};

use pktgen::{Config, Event, Frames, Function, Generator, Pings};
use ports::virtual_port::pair;
use ports::wire::Headers;
use ports::{Burst, Capabilities, Frame, Mac, Port, checksum};

pub(crate) const OWN: Mac = Mac::new([2, 0, 0, 0, 0, 1]);
pub(crate) const PEER: Mac = Mac::new([2, 0, 0, 0, 0, 2]);
pub(crate) const US: u64 = 1000;
pub(crate) const SEC: u64 = 1_000_000 * US;

pub(crate) type Events = Arc<Mutex<Vec<Event>>>;

pub(crate) fn generator(config: Config) -> (Generator, Events) {
    let events = Events::default();
    let sink = events.clone();
    let tell = move |event| sink.lock().expect("no test panicked with it").push(event);
    (Generator::new(config, Some(OWN), Box::new(tell)).expect("a sound config"), events)
}

pub(crate) fn config(function: Function) -> Config {
    let frames = Frames { dst_mac: PEER, ..Frames::default() };
    Config { frames, timeout_ms: 1, ..Config::new("test", function) }
}

pub(crate) fn cable(slots: u16) -> (Port, Port) {
    pair("test", slots, Capabilities::all(1500)).expect("memory for two rings")
}

pub(crate) fn take(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
    drop(burst);
    port.rx.release(frames.len());
    frames
}

pub(crate) fn send(port: &mut Port, frame: &[u8]) {
    assert_eq!(port.tx.transmit(&[Frame::new(frame)]).taken, 1, "room for it");
    port.tx.flush();
}

/// The sequence number of a ping, read where netmap has it.
pub(crate) fn sequence(frame: &[u8]) -> u32 {
    u32::from_le_bytes([frame[42], frame[43], frame[44], frame[45]])
}

/// Stations and addresses swapped by hand.
pub(crate) fn answer(frame: &[u8]) -> Vec<u8> {
    [&frame[6..12], &frame[..6], &frame[12..26], &frame[30..34], &frame[26..30], &frame[34..]].concat()
}

/// Whether all checksums of an IPv4 or IPv6 frame with UDP are right.
pub(crate) fn is_sound(frame: &[u8]) -> bool {
    let Some(h) = Headers::parse(frame, frame.len()) else { return false };
    let Some((src, dst)) = h.addresses(frame) else { return false };
    let udp = &frame[h.l4..h.end];
    let sum = checksum::pseudo_header(src, dst, h.protocol, udp.len()) + checksum::sum(udp);
    let ip4 = frame[h.l3] >> 4 == 4;
    checksum::fold(sum) == 0xffff && (!ip4 || checksum::fold(checksum::sum(&frame[h.l3..h.l4])) == 0xffff)
}

pub(crate) fn total(events: &[Event]) -> &Pings {
    let totals = events.iter().filter_map(|e| if let Event::PingTotal(p) = e { Some(p) } else { None });
    let [total] = totals.collect::<Vec<_>>()[..] else { panic!("not one total: {events:?}") };
    total
}
