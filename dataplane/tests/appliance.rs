//! The appliance in-process: virtual ports and tiny apps, real workers.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dataplane::appliance::{Appliance, Error, Hosting, Options};
use dataplane::name::ValePort;
use dataplane::worker::cores;
use dataplane::worker::idle::Policy;
use ports::{App, BURST, Burst, Capabilities, Frame, Mac, Peer, Port, Progress, Reason, Time, virtual_port};

const SOURCE: Mac = Mac::from_bits(0x02_00_00_00_00_01);
const SINK: Mac = Mac::from_bits(0x02_00_00_00_00_02);

fn vale(name: &str) -> ValePort {
    name.parse().unwrap()
}

fn appliance(idle: Policy) -> Arc<Appliance> {
    Arc::new(Appliance::new(Options { idle, ..Options::default() }).unwrap())
}

fn frame(dst: Mac, src: Mac, number: u64) -> [u8; 60] {
    let mut bytes = [0; 60];
    bytes[..6].copy_from_slice(&dst.octets());
    bytes[6..12].copy_from_slice(&src.octets());
    bytes[20..28].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Sends numbered frames to the sink, as fast as they find room.
struct Source {
    sent: u64,
    count: u64,
    stopped: bool,
    seen: Arc<AtomicU64>,
}

impl App for Source {
    fn poll(&mut self, port: &mut Port, _now: Time) -> Progress {
        let before = self.sent;
        while self.sent < self.count && self.sent - before < BURST as u64 && !self.stopped {
            let bytes = frame(SINK, SOURCE, self.sent);
            if port.tx.transmit(&[Frame::new(&bytes)]).taken == 0 {
                break;
            }
            self.sent += 1;
        }
        self.seen.store(self.sent, Ordering::Relaxed);
        let done = self.stopped || self.sent == self.count;
        Progress { busy: self.sent > before, deadline: Time::NEVER, done }
    }

    fn stop(&mut self, _now: Time) {
        self.stopped = true;
    }
}

/// Says hello once, so that it is known; then takes frames and checks that they come in order.
struct Sink {
    hello: bool,
    /// Lowest number that may come next.
    next: u64,
    received: u64,
    seen: Arc<AtomicU64>,
}

impl App for Sink {
    fn poll(&mut self, port: &mut Port, _now: Time) -> Progress {
        if !self.hello {
            self.hello = true;
            port.tx.transmit(&[Frame::new(&frame(Mac::BROADCAST, SINK, 0))]);
        }
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len();
        for frame in burst.iter().filter(|f| f.stations().is_some_and(|(dst, _)| dst == SINK)) {
            let number = u64::from_be_bytes(*frame.to_vec()[20..].first_chunk().unwrap());
            assert!(number >= self.next, "out of order, or twice");
            self.next = number + 1;
            self.received += 1;
        }
        drop(burst);
        port.rx.release(n);
        self.seen.store(self.received, Ordering::Relaxed);
        Progress { busy: n > 0, deadline: Time::NEVER, done: false }
    }

    fn stop(&mut self, _now: Time) {}
}

fn sink(appliance: &Arc<Appliance>, on: &str) -> (Hosting, Arc<AtomicU64>) {
    let seen = Arc::<AtomicU64>::default();
    let app = Sink { hello: false, next: 0, received: 0, seen: seen.clone() };
    (appliance.host(&vale(on), None, |_| Ok(Box::new(app))).unwrap(), seen)
}

/// On the core that `sink` is not on, where there are two.
fn source_apart(appliance: &Arc<Appliance>, on: &str, count: u64) -> (Hosting, Arc<AtomicU64>) {
    let core = cores::available().last().copied();
    source_on(core, appliance, on, count)
}

fn source(appliance: &Arc<Appliance>, on: &str, count: u64) -> (Hosting, Arc<AtomicU64>) {
    source_on(None, appliance, on, count)
}

fn source_on(
    core: Option<usize>,
    appliance: &Arc<Appliance>,
    on: &str,
    count: u64,
) -> (Hosting, Arc<AtomicU64>) {
    let seen = Arc::<AtomicU64>::default();
    let app = Source { sent: 0, count, stopped: false, seen: seen.clone() };
    (appliance.host(&vale(on), core, |_| Ok(Box::new(app))).unwrap(), seen)
}

#[track_caller]
fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !until() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn knows_sink(appliance: &Appliance, on: &str) -> bool {
    let stations = appliance.fdb(None, Time::now()).unwrap();
    stations.iter().any(|s| s.mac == SINK && s.port == on)
}

#[test]
fn every_frame_arrives_in_order_and_the_books_balance() {
    type Make = fn(&Arc<Appliance>, &str, u64) -> (Hosting, Arc<AtomicU64>);
    let cases: [(Policy, Make, u64); 4] = [
        (Policy::Adaptive, source, 200_000),
        (Policy::Adaptive, source_apart, 200_000),
        (Policy::Busy, source, 20_000),
        (Policy::Busy, source_apart, 20_000),
    ];
    for (idle, source, count) in cases {
        let appliance = appliance(idle);
        let (_sink, received) = sink(&appliance, "vale0:rx");
        wait("sink known", || knows_sink(&appliance, "vale0:rx"));
        let (source, _) = source(&appliance, "vale0:tx", count);
        let done = source.retired().recv_timeout(Duration::from_secs(30));
        assert!(done.is_ok(), "the source is done");
        drop(source); // what it sent last is forwarded before its port goes
        let stats = || appliance.stats(Some("vale0")).unwrap().remove(0);
        // On a shared machine a worker may be without its core for so long that its port counts as stopped: what is
        // dropped then is counted, and nothing else is.
        wait("all accounted for", || received.load(Ordering::Relaxed) + stats().total.dropped() == count + 1);
        let stats = stats();
        assert_eq!((stats.balance, stats.ports.len()), (0, 1));
        assert_eq!(stats.total.rx_frames, count + 1);
        assert_eq!(stats.total.tx_frames, received.load(Ordering::Relaxed));
        assert_eq!(stats.total.drops[&Reason::NoDestination], 1, "the hello: {:?}", stats.total.drops);
        let reasons: Vec<_> = stats.total.drops.iter().filter(|(_, n)| **n > 0).map(|(r, _)| *r).collect();
        assert!(matches!(reasons[..], [Reason::NoDestination] | [Reason::Full, Reason::NoDestination]));
    }
}

#[test]
fn attaching_and_detaching_others_loses_nothing() {
    let appliance = appliance(Policy::Adaptive);
    let (_sink, received) = sink(&appliance, "vale0:rx");
    wait("sink known", || knows_sink(&appliance, "vale0:rx"));
    let (source, sent) = source(&appliance, "vale0:tx", u64::MAX);
    let there = cores::available();
    for round in 0..50 {
        let core = there[round % there.len()];
        let port = vale(&format!("vale0:p{}@virtual:core={core}", round % 7));
        appliance.attach(&port, false).unwrap();
        assert!(matches!(appliance.attach(&port, false), Err(Error::Attached(_))));
        let before = received.load(Ordering::Relaxed);
        wait("traffic goes on", || received.load(Ordering::Relaxed) > before + 1000);
        appliance.detach(&port).unwrap();
        assert!(matches!(appliance.detach(&port), Err(Error::NoPort(_))));
    }
    source.stop();
    source.retired().recv_timeout(Duration::from_secs(10)).unwrap();
    drop(source);
    let sent = sent.load(Ordering::Relaxed);
    // See above: only a worker without its core for a tenth of a second loses any, and says so.
    let full = || appliance.stats(None).unwrap()[0].total.drops.get(&Reason::Full).copied().unwrap_or(0);
    wait("all accounted for", || received.load(Ordering::Relaxed) + full() == sent);
    assert!(full() < sent / 10);
    assert_eq!(appliance.stats(None).unwrap()[0].balance, 0);
}

#[test]
fn switches_are_apart_and_numbered_and_vanish() {
    let appliance = appliance(Policy::Adaptive);
    assert!(appliance.is_empty());
    let (near, mut far) = virtual_port::pair("t", 64, Capabilities::wire(1500)).unwrap();
    appliance.attach_port(&vale("valeb:x"), near).unwrap();
    let (sink_a, _) = sink(&appliance, "valea:rx");
    let (sink_b, _) = sink(&appliance, "valeb:rx");
    let rows = appliance.list();
    let rows = rows.iter().map(|r| (r.name.as_str(), r.bridge_idx.unwrap(), r.port_idx.unwrap()));
    assert_eq!(rows.collect::<Vec<_>>(), [("valeb:x", 0, 0), ("valeb:rx", 0, 1), ("valea:rx", 1, 0)]);
    let mut hellos = 0;
    wait("hello of the one sink", || {
        hellos += take(&mut far);
        hellos == 1
    });
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(take(&mut far), 0, "the other sink is on another switch");
    assert!(matches!(appliance.detach(&vale("valea:rx")), Err(Error::InUse { .. })));
    drop(sink_a);
    assert!(matches!(appliance.stats(Some("valea")), Err(Error::NoSwitch(_))));
    drop(sink_b);
    appliance.detach(&vale("valeb:x")).unwrap();
    assert!(appliance.is_empty());
    appliance.attach(&vale("valec:x@null"), false).unwrap();
    assert_eq!(appliance.list()[0].bridge_idx, Some(0), "the lowest free number");
    appliance.detach_all();
    assert!(appliance.is_empty());
}

/// Takes what is there off a port, and counts it.
fn take(port: &mut Port) -> usize {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let n = burst.len();
    drop(burst);
    port.rx.release(n);
    n
}

#[test]
fn a_sleeping_worker_is_woken_by_a_lone_frame() {
    let appliance = appliance(Policy::Adaptive);
    let mut fars = Vec::new();
    for name in ["vale0:a", "vale0:b"] {
        let (near, far) = virtual_port::pair(name, 64, Capabilities::wire(1500)).unwrap();
        appliance.attach_port(&vale(name), near).unwrap();
        fars.push(far);
    }
    let [a, b] = &mut fars[..] else { panic!() };
    for round in 0..20 {
        std::thread::sleep(Duration::from_millis(5)); // long asleep
        a.tx.transmit(&[Frame::new(&frame(SINK, SOURCE, round))]);
        a.tx.flush();
        wait("the frame", || take(b) == 1);
    }
}

#[test]
fn cores_and_names_that_are_not_there_leave_nothing_behind() {
    let appliance = appliance(Policy::Adaptive);
    let missing = vale("vale0:x@null:core=4096");
    let e = appliance.attach(&missing, false).unwrap_err().to_string();
    assert!(e.starts_with("core 4096: not available (try: 0"), "{e}");
    let e = appliance.attach(&vale("vale0:nosuch0"), false).unwrap_err().to_string();
    assert_eq!(e, "nosuch0: no such interface (try: ip link)");
    let e = appliance.attach(&vale("vale0:vm@null"), true).unwrap_err().to_string();
    assert_eq!(e, "vale0:vm: null has no host's stack beside it (try: without -h)");
    let e = appliance.host(&vale("vale0:x"), Some(4096), |_| panic!("made for nothing")).err().unwrap();
    assert!(matches!(e, Error::Core(_)), "{e}");
    let e = appliance.host(&vale("vale0:x"), None, |_| Err("no".to_owned())).err().unwrap();
    assert_eq!(e.to_string(), "no");
    let e = appliance.host(&vale("vale0:x@tap"), None, |_| panic!()).err().unwrap();
    assert!(matches!(e, Error::NotVirtual { .. }), "{e}");
    assert!(appliance.attach(&vale("vale0:x@null:colour=red"), false).is_err());
    assert!(appliance.is_empty());
    let e = Appliance::new(Options { cores: vec![4096], ..Options::default() }).err().unwrap();
    assert!(e.to_string().contains("core 4096"), "{e}");
}

#[test]
fn a_guests_queues_are_received_by_as_many_workers_as_asked_for() {
    let cores = cores::available();
    let [first, second, ..] = cores[..] else { return };
    let options = |cores| Options { cores, sockets: std::env::temp_dir(), ..Options::default() };
    let two = Appliance::new(options(vec![first, second])).unwrap();
    let name = format!("vale0:g{}", std::process::id());
    let guest = |options: &str| vale(&format!("{name}@vhost-user:queues=2,{options}"));
    let refused = two.attach(&guest("workers=3"), false).unwrap_err().to_string();
    assert!(refused.contains("workers=3: 1 to as many as queues=2"), "{refused}");
    two.attach(&guest(&format!("workers=2,core={second}")), false).unwrap();
    let row = two.list().remove(0);
    assert_eq!((row.core, row.more_cores), (Some(second), vec![first]));
    assert_eq!(row.peer, Some(Peer::Nobody));
    two.detach(&vale(&name)).unwrap();
    assert!(two.is_empty());

    let one = Appliance::new(options(vec![first])).unwrap();
    let refused = one.attach(&guest("workers=2"), false).unwrap_err().to_string();
    assert!(refused.contains("workers=2: there are 1"), "{refused}");
    assert!(one.is_empty());
}
