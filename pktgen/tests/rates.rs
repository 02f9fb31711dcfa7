//! A rate and a burst hold on every port, whatever the function. In virtual time: the ports are real, the clock is not.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, Mutex};

use pktgen::{Config, Event, Function, Generator, Rate};
use ports::contract::{Cable, Far, Wire, frame, in_namespace, ip, open_when_free, veth};
use ports::{App, Capabilities, Offload, Port, Time, afxdp, null, packet, pcap, tap, virtual_port};

const STEP_NS: u64 = 500_000;
const SEC_NS: u64 = 1_000_000_000;
/// Frames a second, and how many may go at a time.
const RATE: u64 = 20_000;
const BURST: u32 = 32;

/// Nothing beyond the port.
struct Nowhere;

impl Far for Nowhere {
    fn send(&mut self, _: &[u8], _: Offload) -> bool {
        false
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        None
    }
}

type Link = (Port, Box<dyn Far>);

/// What went through in a second of which a tenth was slept through, and how much of it in one go, on average of the
/// interval that had most, with more than enough waiting at the far end.
fn second_of(function: Function, rate: Rate, (mut port, mut far): Link) -> (u64, u64) {
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let sink = events.clone();
    let config = Config { rate, burst: BURST, interval_ms: 10, ..Config::new("p", function) };
    let tell = move |event| sink.lock().unwrap().push(event);
    let mut app = Generator::new(config, port.mac, Box::new(tell)).unwrap();
    let arriving = frame(7, 60);
    let stall = SEC_NS * 4 / 10..SEC_NS / 2;
    for now in (0..=SEC_NS).step_by(STEP_NS as usize).filter(|now| !stall.contains(now)) {
        for _ in 0..32 {
            far.send(&arriving, Offload::NONE);
        }
        // More often than anything is due.
        for _ in 0..3 {
            app.poll(&mut port, Time(now));
            port.tx.flush();
        }
        while far.receive().is_some() {}
    }
    let events = events.lock().unwrap();
    let intervals = events.iter().filter_map(|event| match event {
        Event::Interval { packets, batches, .. } => Some((*packets, *batches)),
        _ => None,
    });
    intervals.fold((0, 0), |(sum, most), (packets, batches)| {
        (sum + packets, most.max(packets.checked_div(batches).unwrap_or(0)))
    })
}

/// Drives what the port is for at a rate in frames and one in bits.
fn holds(what: &str, functions: &[Function], make: &mut dyn FnMut() -> Link) {
    for function in functions {
        for rate in [Rate::Pps(RATE), Rate::Bps { bits: RATE * 60 * 8, framing: 0 }] {
            let (packets, most) = second_of(*function, rate, make());
            // What was slept through is made up for by 1/300 s, and no more.
            let made_up = packets.checked_sub(RATE * 9 / 10 - u64::from(BURST));
            let slack = RATE / 300 + 3 * u64::from(BURST);
            assert!(made_up.is_some_and(|n| n <= slack), "{what} {function:?} {rate:?}: {packets}");
            assert!((1..=u64::from(BURST)).contains(&most), "{what} {function:?}: {most} in one go");
        }
    }
}

#[test]
fn on_virtual_ports() {
    holds("virtual", &[Function::Tx, Function::Rx, Function::Ping, Function::Pong], &mut || {
        let (port, other) = virtual_port::pair("v", 4096, Capabilities::all(1500)).unwrap();
        (port, Box::new(Cable::new(other)))
    });
}

#[test]
fn on_the_null_port() {
    holds("null", &[Function::Tx, Function::Ping], &mut || (null::open(), Box::new(Nowhere)));
}

#[test]
fn on_captures() {
    let directory = tempfile::tempdir().unwrap();
    let (read, write) = (directory.path().join("r"), directory.path().join("w"));
    let mut port = pcap::open(pcap::Files { read: None, write: Some(&read) }).unwrap();
    for _ in 0..2 * RATE {
        port.tx.reserve(60).unwrap().copy_from_slice(&frame(7, 60));
        port.tx.commit(60, Offload::NONE);
    }
    drop(port);
    holds("pcap", &[Function::Tx, Function::Rx, Function::Ping, Function::Pong], &mut || {
        let files = pcap::Files { read: Some(&read), write: Some(&write) };
        (pcap::open(files).unwrap(), Box::new(Nowhere))
    });
    let written = pcap::Capture::load(&write).unwrap().len() as u64;
    assert!(written >= RATE * 9 / 10 - u64::from(BURST), "{written} answers in the file");
}

#[test]
fn on_taps() {
    in_namespace(|| {
        holds("tap", &[Function::Tx, Function::Rx, Function::Ping, Function::Pong], &mut || {
            let port = tap::open("tap0", tap::Options::default()).unwrap();
            (port, Box::new(Wire::open("tap0", true)))
        });
    });
}

#[test]
fn on_interfaces() {
    in_namespace(|| {
        veth("v0", "v1");
        ip("link set v0 promisc on");
        let functions = [Function::Tx, Function::Rx, Function::Ping, Function::Pong];
        holds("packet", &functions, &mut || {
            (packet::open("v0", packet::Options::default()).unwrap(), Box::new(Wire::open("v1", true)))
        });
        holds("afxdp", &functions, &mut || {
            let port = open_when_free(|| afxdp::open("v0", &afxdp::Options::default()));
            (port, Box::new(Wire::open("v1", false)))
        });
    });
}
