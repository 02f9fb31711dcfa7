//! Two endpoints on one core, connected by a virtual cable: what the stack itself can carry.
//!
//! `cargo bench -p iperf-endpoint --bench stack [-- NAME-PART [SECONDS]]` prints Gbit/s of payload by the wall clock and by
//! the time the thread was given, which differ on a busy machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use iperf_endpoint::stack::{Config, Stack};
use iperf_endpoint::transport::{Connection, SocketOptions, State, Transport as _};
use ports::offload::Offloads;
use ports::{Capabilities, Mac, Port, Time, virtual_port};

const PORT: u16 = 5201;
const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

struct Host {
    stack: Stack,
    port: Port,
    connections: Vec<Connection>,
}

impl Host {
    fn new(address: Ipv4Addr, capabilities: Capabilities, port: Port) -> Self {
        let config = Config::new(address, 24, Mac::local(&address.to_string()), 7);
        let stack = Stack::new(config, capabilities).expect("a good address");
        Self { stack, port, connections: Vec::new() }
    }

    fn pass(&mut self, now: Time, mut work: impl FnMut(&mut Stack, Connection)) {
        self.stack.ingress(&mut self.port, now);
        for c in &self.connections {
            work(&mut self.stack, *c);
        }
        self.stack.egress(&mut self.port, now);
        self.port.tx.flush();
    }
}

/// Nanoseconds that this thread ran.
fn ran() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn measure(name: &str, capabilities: Capabilities, window: Option<usize>, streams: usize, seconds: u64) {
    let (a, b) = virtual_port::pair("bench", 1024, capabilities).expect("memory");
    let (mut a, mut b) = (Host::new(A, capabilities, a), Host::new(B, capabilities, b));
    let options = SocketOptions { window, ..SocketOptions::default() };
    b.stack.listen(PORT, options);
    for _ in 0..streams {
        let c = a.stack.connect(SocketAddrV4::new(B, PORT), options).expect("room");
        a.connections.push(c);
    }
    while b.connections.len() < streams {
        let now = Time::now();
        a.pass(now, |_, _| ());
        b.pass(now, |_, _| ());
        b.connections.extend(std::iter::from_fn(|| b.stack.accept(PORT)));
    }
    let mut bytes = 0;
    let mut run = |a: &mut Host, b: &mut Host, time: Duration| {
        let start = Time::now();
        let (mut now, from, before) = (start, bytes, ran());
        while now.since(start) < time {
            now = Time::now();
            a.pass(now, |stack, c| _ = stack.send_pattern(c, 1 << 24));
            b.pass(now, |stack, c| bytes += stack.discard(c, 1 << 24));
        }
        let moved = (bytes - from) as f64 * 8.0;
        (moved / now.since(start).as_nanos() as f64, moved / (ran() - before) as f64)
    };
    run(&mut a, &mut b, Duration::from_millis(300));
    let (wall, cpu) = run(&mut a, &mut b, Duration::from_secs(seconds));
    let infos: Vec<_> = a.connections.iter().map(|c| a.stack.info(*c)).collect();
    let retransmits: u64 = infos.iter().map(|i| i.retransmits).sum();
    assert!(a.connections.iter().all(|c| a.stack.state(*c) == State::Open), "a connection broke");
    println!(
        "{name:<44} {wall:7.1} Gbit/s  {cpu:7.1} Gbit/s of CPU time  {retransmits} retransmits  rtt {:?}",
        infos[0].rtt
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let part = arguments.next().unwrap_or_default();
    let seconds = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(2);
    let csum = Capabilities { offloads: Offloads::CSUM, ..Capabilities::wire(1500) };
    let cases = [
        ("wire 1500, checksums computed", Capabilities::wire(1500)),
        ("wire 1500, checksum offload", csum),
        ("super-frames", Capabilities::all(1500)),
        ("wire 9000, checksums computed", Capabilities::wire(9000)),
    ];
    for (name, capabilities) in cases {
        for (label, window, streams) in [
            ("default window", None, 1),
            ("64 KiB", Some(64 << 10), 1),
            ("256 KiB", Some(256 << 10), 1),
            ("4 MiB", Some(4 << 20), 1),
            ("default window, 128 streams", None, 128),
            ("64 KiB, 128 streams", Some(64 << 10), 128),
        ] {
            let name = format!("{name}, {label}");
            if name.contains(&part) {
                measure(&name, capabilities, window, streams, seconds);
            }
        }
    }
}
