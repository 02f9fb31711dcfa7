//! Nothing is lost silently, nothing comes twice, nothing overtakes: under random traffic, with ports that are full,
//! that cannot take what they are sent, and that come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ports::{Capabilities, Counters, Mac, Offload, Reason, Time};
use proptest::prelude::*;
use switch::{Forwarder, Options, Switch, WhenFull};

use crate::support::{Sink, TestPort, balance, mac, mark, marked, marked_tcp, tso};

const STATIONS: u64 = 8;

#[derive(Clone, Debug)]
enum Event {
    Send { port: usize, dst: Dst, src: u64, what: What, times: usize },
    Pass { port: usize, worker: usize },
    Room { port: usize, room: usize },
    Leave { port: usize },
    Join { wait: bool, takes: usize },
    Sleep { ms: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Dst {
    Station(u64),
    All,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Plain(usize),
    Runt(usize),
    Checksum(usize),
    Super(usize),
    Nonsense,
}

fn event() -> impl Strategy<Value = Event> {
    let dst = prop_oneof![4 => (0..STATIONS).prop_map(Dst::Station), 1 => Just(Dst::All)];
    let what = prop_oneof![
        6 => (19usize..1518).prop_map(What::Plain),
        1 => (1519usize..9000).prop_map(What::Plain),
        1 => (0usize..14).prop_map(What::Runt),
        2 => (0usize..1400).prop_map(What::Checksum),
        3 => (1usize..60_000).prop_map(What::Super),
        1 => Just(What::Nonsense),
    ];
    let port = 0usize..8;
    prop_oneof![
        6 => (port.clone(), dst, 0..STATIONS, what, 1usize..100)
            .prop_map(|(port, dst, src, what, times)| Event::Send { port, dst, src, what, times }),
        8 => (port.clone(), 0usize..2).prop_map(|(port, worker)| Event::Pass { port, worker }),
        4 => (port.clone(), prop_oneof![0usize..40, Just(100_000)]).prop_map(|(port, room)| Event::Room { port, room }),
        1 => port.prop_map(|port| Event::Leave { port }),
        2 => (any::<bool>(), 0usize..4).prop_map(|(wait, takes)| Event::Join { wait, takes }),
        1 => (0u64..400_000).prop_map(|ms| Event::Sleep { ms }),
    ]
}

struct World {
    switch: Arc<Switch>,
    workers: [Forwarder; 2],
    ports: Vec<TestPort>,
    /// Counters and sinks of every port that ever was.
    all: Vec<(Arc<Counters>, Sink)>,
    /// The last mark of each sender to each station at each sink. A station may move while frames to it wait, and
    /// these may then arrive behind later ones to other stations; an egress sees order for each (IEEE 802.1Q, 6.5.3).
    marks: HashMap<(u8, Vec<u8>, usize), u32>,
    now: Time,
    joined: u8,
    sent: u32,
}

impl World {
    fn new() -> Self {
        let switch = Arc::new(Switch::new("vale0", Options { stations: 16, ..Options::default() }));
        let workers = [0, 1].map(|_| Forwarder::new(switch.clone()));
        let (ports, all, marks) = (Vec::new(), Vec::new(), HashMap::new());
        Self { switch, workers, ports, all, marks, now: Time::from_secs(5), joined: 0, sent: 0 }
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Join { wait, takes } => self.join(wait, takes),
            Event::Sleep { ms } => self.now = self.now + Duration::from_millis(ms),
            Event::Send { port, dst, src, what, times } => {
                for _ in 0..times {
                    self.send(port, dst, src, what);
                }
            }
            Event::Pass { port, worker } => {
                if let Some(port) = self.ports.get_mut(port) {
                    self.workers[worker].forward(port.index, &mut port.source, self.now);
                }
            }
            Event::Room { port, room } => {
                if let Some(port) = self.ports.get(port) {
                    port.sink.store().room = room;
                }
            }
            Event::Leave { port } => {
                if port < self.ports.len() {
                    self.switch.leave(self.ports.remove(port).index).unwrap();
                }
            }
        }
    }

    fn join(&mut self, wait: bool, takes: usize) {
        if self.ports.len() == 8 || self.joined == 250 {
            return;
        }
        self.joined += 1;
        let takes = [
            Capabilities::wire(1500),
            Capabilities::wire(9000),
            Capabilities::all(1500),
            Capabilities { super_frame: 30_000, ..Capabilities::all(1500) },
        ][takes];
        let when_full = if wait { WhenFull::Wait } else { WhenFull::Drop };
        let port = TestPort::join(&self.switch, &self.joined.to_string(), when_full, takes);
        self.all.push((port.counters.clone(), port.sink.clone()));
        self.ports.push(port);
    }

    fn send(&mut self, port: usize, dst: Dst, src: u64, what: What) {
        let Some(port) = self.ports.get_mut(port) else { return };
        self.sent += 1;
        // Every port's indices are reused, its sink is not: the sink's number names the sender.
        let sender =
            u8::try_from(self.all.iter().position(|(c, _)| Arc::ptr_eq(c, &port.counters)).unwrap()).unwrap();
        let (dst, src, n) =
            (if let Dst::Station(n) = dst { mac(n) } else { Mac::BROADCAST }, mac(src), self.sent);
        let csum = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
        let frame = match what {
            What::Plain(len) => (marked(dst, src, sender, n, len), Offload::NONE),
            What::Runt(len) => (vec![0; len], Offload::NONE),
            What::Checksum(payload) => (marked_tcp(dst, src, sender, n, payload), csum),
            What::Super(payload) => (marked_tcp(dst, src, sender, n, payload), tso(1448)),
            What::Nonsense => (marked(dst, src, sender, n, 100), tso(1448)),
        };
        port.source.frames.push_back(frame);
    }

    fn check(&mut self) {
        let (put_in, came_out) = balance(self.all.iter().map(|(c, _)| c));
        assert_eq!(put_in, came_out);
        for (n, (counters, sink)) in self.all.iter().enumerate() {
            let mut store = sink.store();
            assert_eq!(store.unfit, 0);
            let totals = counters.read();
            let bytes: usize = store.got.iter().map(|(b, _)| b.len()).sum();
            store.delivered.0 += store.got.len() as u64;
            store.delivered.1 += bytes as u64;
            assert_eq!((totals.tx_frames, totals.tx_bytes), store.delivered);
            for (frame, _) in store.got.drain(..) {
                let (sender, mark) = mark(&frame);
                assert_ne!(usize::from(sender), n, "back to where it came from");
                let before = self.marks.insert((sender, frame[..6].to_vec(), n), mark);
                assert!(before.is_none_or(|before| before < mark), "{before:?} then {mark}");
            }
        }
    }

    /// Gives every port room and lets all traffic run out.
    fn drain(&mut self) {
        for port in &self.ports {
            port.sink.store().room = 1_000_000;
        }
        for n in 0..self.ports.len() {
            while !self.ports[n].source.frames.is_empty() {
                self.apply(&Event::Pass { port: n, worker: n % 2 });
                self.check();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_accounted_for(events in proptest::collection::vec(event(), 1..150)) {
        let mut world = World::new();
        for _ in 0..3 {
            world.join(false, 0);
            world.join(true, 2);
        }
        for event in &events {
            world.apply(event);
            world.check();
        }
        world.drain();
    }

    /// What an app sends to stations it knows arrives whole, whatever room there is, as long as there is some.
    #[test]
    fn an_app_loses_nothing_to_full_ports(
        sends in proptest::collection::vec((0u64..3, 1usize..6000, 1usize..40), 1..20),
        rooms in proptest::collection::vec((0usize..3, 0usize..50), 1..40),
    ) {
        let mut world = World::new();
        world.join(true, 2);
        for takes in [0, 2, 3] {
            world.join(false, takes);
        }
        for n in 0..3 {
            world.send(n + 1, Dst::All, n as u64, What::Plain(60));
            world.apply(&Event::Pass { port: n + 1, worker: 1 });
        }
        world.check();
        let mut expected = [0; 3];
        for (to, payload, times) in sends {
            for _ in 0..times {
                world.send(0, Dst::Station(to), 7, What::Super(payload));
                expected[usize::try_from(to).unwrap()] += payload;
            }
        }
        for (port, room) in rooms {
            world.apply(&Event::Room { port: port + 1, room });
            world.apply(&Event::Pass { port: 0, worker: room % 2 });
            for (port, expected) in world.ports[1..].iter().zip(&mut expected) {
                *expected -= port.sink.store().got.iter().map(|(frame, _)| frame.len() - 54).sum::<usize>();
            }
            world.check();
        }
        world.now = world.now + Duration::from_millis(1);
        for port in 1..4 {
            world.apply(&Event::Room { port, room: 1_000_000 });
        }
        while !world.ports[0].source.frames.is_empty() {
            world.apply(&Event::Pass { port: 0, worker: 0 });
            for (port, expected) in world.ports[1..].iter().zip(&mut expected) {
                *expected -= port.sink.store().got.iter().map(|(frame, _)| frame.len() - 54).sum::<usize>();
            }
            world.check();
        }
        prop_assert_eq!(expected, [0; 3]);
        prop_assert_eq!(world.ports.iter().map(|p| p.dropped(Reason::Full)).sum::<u64>(), 0);
    }
}
