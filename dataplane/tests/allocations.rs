//! A worker's passes allocate nothing: generators, receivers and a switch with virtual ports, a TAP and a raw socket, all
//! of them busy.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dataplane::appliance::{Appliance, Hosting, Options};
use dataplane::name::ValePort;
use dataplane::worker::idle::Policy;
use pktgen::{Config, Frames, Function, Generator, Rate};
use ports::contract::{Allocations, in_namespace, ip, veth};
use ports::{App, Mac, Port, Progress, Time, packet, tap};

#[global_allocator]
static ALLOCATIONS: Allocations = Allocations::new();

/// Frames that the receiver must have had while nothing is allocated.
const FRAMES: u64 = 100_000;
const RECEIVER: Mac = Mac::from_bits(0x02_00_00_00_00_01);

fn vale(name: &str) -> ValePort {
    name.parse().unwrap()
}

/// Puts its worker under watch. Counts its polls.
struct Watch(Arc<AtomicU64>);

impl App for Watch {
    fn poll(&mut self, _port: &mut Port, _now: Time) -> Progress {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            ALLOCATIONS.watch();
            drop(std::hint::black_box(Box::new(1))); // which must be seen
        }
        Progress { busy: false, deadline: Time::NEVER, done: false }
    }

    fn stop(&mut self, _now: Time) {}
}

fn generator(appliance: &Arc<Appliance>, on: &str, function: Function, dst_mac: Mac, rate: Rate) -> Hosting {
    let src_mac = if function == Function::Rx { RECEIVER } else { Mac::local(on) };
    let frames = Frames { dst_mac, src_mac: Some(src_mac), ..Frames::default() };
    let config = Config { frames, rate, interval_ms: 10, ..Config::new(on, function) };
    let app = Generator::new(config, None, Box::new(drop)).unwrap();
    appliance.host(&vale(on), None, |_| Ok(Box::new(app))).unwrap()
}

#[track_caller]
fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !until() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn passes_allocate_nothing() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let appliance =
            Arc::new(Appliance::new(Options { idle: Policy::Adaptive, ..Options::default() }).unwrap());
        let tap = tap::open("tap0", tap::Options::default()).unwrap();
        ip("link set tap0 up");
        let port = packet::open("veth0", packet::Options::default()).unwrap();
        let counters = [tap.counters.clone(), port.counters.clone()];
        appliance.attach_port(&vale("vale0:tap0"), tap).unwrap();
        appliance.attach_port(&vale("vale0:veth0"), port).unwrap();
        let polls = Arc::<AtomicU64>::default();
        let watch = Watch(polls.clone());
        let _apps = [
            generator(&appliance, "vale0:rx", Function::Rx, Mac::BROADCAST, Rate::UNLIMITED),
            generator(&appliance, "vale0:tx", Function::Tx, RECEIVER, Rate::UNLIMITED),
            generator(&appliance, "vale0:flood", Function::Tx, Mac::BROADCAST, "100k".parse().unwrap()),
            appliance.host(&vale("vale0:watch"), None, |_| Ok(Box::new(watch))).unwrap(),
        ];
        let sent = |port: &str| {
            let stats = appliance.stats(Some("vale0")).unwrap().remove(0);
            stats.ports.iter().find(|p| p.name.ends_with(port)).map_or(0, |p| p.counts.tx_frames)
        };
        wait("the worker is under watch", || polls.load(Ordering::Relaxed) > 100);
        assert_ne!(ALLOCATIONS.seen(), 0, "allocations are not counted");
        wait("frames flow", || sent("rx") > FRAMES);
        let (begin, before) = (sent("rx"), counters.each_ref().map(|c| c.read().tx_frames));
        let seen = ALLOCATIONS.seen();
        wait("more frames flow", || sent("rx") > begin + FRAMES);
        assert_eq!(ALLOCATIONS.seen() - seen, 0);
        let after = counters.each_ref().map(|c| c.read().tx_frames);
        assert!(before[0] < after[0] && before[1] < after[1], "{before:?} {after:?}");
    });
}
