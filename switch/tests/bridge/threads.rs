//! Two workers on one switch, over real frame rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ports::{Burst, Capabilities, Counters, Frame, Offload, Port, Rx, Time, virtual_port};
use switch::{Forwarder, Joining, Options, PortIndex, Switch, WhenFull};

use crate::support::{balance, mac, mark, marked};

const FRAMES: u32 = 20_000;
const PORTS: usize = 4;

/// An app that sends numbered frames to every other app, and expects theirs.
struct Peer {
    n: usize,
    port: Port,
    next: u32,
    seen: [u32; PORTS],
}

impl Peer {
    fn send(&mut self) {
        while self.next < FRAMES * 3 {
            let (to, number) = ((self.n + 1 + self.next as usize % 3) % PORTS, self.next / 3);
            let frame = marked(mac(to as u64), mac(self.n as u64), u8::try_from(self.n).unwrap(), number, 60);
            let Some(slot) = self.port.tx.reserve(frame.len()) else { break };
            slot.copy_from_slice(&frame);
            self.port.tx.commit(frame.len(), Offload::NONE);
            self.next += 1;
        }
        self.port.tx.flush();
    }

    /// Says how many frames came, each of which must be the next of its sender.
    fn receive(&mut self) -> u64 {
        let mut burst = Burst::new();
        self.port.rx.receive(&mut burst);
        for frame in &burst {
            let (sender, number) = mark(&frame.to_vec());
            let seen = &mut self.seen[usize::from(sender)];
            // Marks hold 16 bits of the number.
            assert_eq!(number >> 16, *seen & 0xffff);
            *seen += 1;
        }
        let n = burst.len();
        drop(burst);
        self.port.rx.release(n);
        n as u64
    }
}

struct Bench {
    switch: Arc<Switch>,
    members: Vec<(PortIndex, Box<dyn Rx>)>,
    peers: Vec<Peer>,
    counters: Vec<Arc<Counters>>,
}

fn bench() -> Bench {
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    let mut bench = Bench { switch, members: Vec::new(), peers: Vec::new(), counters: Vec::new() };
    for n in 0..PORTS {
        let (port, app) = virtual_port::pair(&n.to_string(), 256, Capabilities::all(1500)).unwrap();
        let (tx, counters) = (port.tx, port.counters);
        bench.counters.push(counters.clone());
        let joining = Joining { name: n.to_string(), tx, counters, when_full: WhenFull::Wait };
        bench.members.push((bench.switch.join(joining).unwrap(), port.rx));
        bench.peers.push(Peer { n, port: app, next: 0, seen: [0; PORTS] });
    }
    for (peer, (index, rx)) in bench.peers.iter_mut().zip(&mut bench.members) {
        let hello = crate::support::frame(ports::Mac::BROADCAST, mac(peer.n as u64));
        peer.port.tx.transmit(&[Frame::new(&hello)]);
        Forwarder::new(bench.switch.clone()).forward(*index, &mut **rx, Time::ZERO);
    }
    for peer in &mut bench.peers {
        let mut burst = Burst::new();
        peer.port.rx.receive(&mut burst);
        let n = burst.len();
        drop(burst);
        peer.port.rx.release(n);
    }
    bench
}

#[test]
fn two_workers_lose_nothing_between_apps() {
    let Bench { switch, mut members, mut peers, counters } = bench();
    let arrived = AtomicU64::new(0);
    let total = u64::from(FRAMES) * 3 * PORTS as u64;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (mut members, mut peers) =
                (members.split_off(members.len() - 2), peers.split_off(peers.len() - 2));
            let (switch, arrived) = (switch.clone(), &arrived);
            scope.spawn(move || {
                let mut forwarder = Forwarder::new(switch);
                while arrived.load(Ordering::Relaxed) < total {
                    peers.iter_mut().for_each(Peer::send);
                    for (index, rx) in &mut members {
                        // Time stands still: nobody is ever considered stopped.
                        forwarder.forward(*index, &mut **rx, Time::ZERO);
                    }
                    forwarder.flush();
                    let n: u64 = peers.iter_mut().map(Peer::receive).sum();
                    arrived.fetch_add(n, Ordering::Relaxed);
                    if n == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!(arrived.load(Ordering::Relaxed), total);
    let (put_in, came_out) = balance(&counters);
    assert_eq!(put_in, came_out);
    assert_eq!(counters.iter().map(|c| c.read().drops()).sum::<u64>(), 0);
}

/// One worker forwards from ports while another thread makes ports come and go under it.
#[test]
fn ports_come_and_go_under_traffic() {
    let Bench { switch, mut members, mut peers, mut counters } = bench();
    let stop = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (worker_switch, stop_flag) = (switch.clone(), &stop);
        scope.spawn(move || {
            let mut forwarder = Forwarder::new(worker_switch);
            while stop_flag.load(Ordering::Relaxed) == 0 {
                for peer in &mut peers {
                    let n = peer.n as u64;
                    for dst in [ports::Mac::BROADCAST, mac(n ^ 1), mac(77)] {
                        peer.port.tx.transmit(&[Frame::new(&crate::support::frame(dst, mac(n)))]);
                    }
                    let mut burst = Burst::new();
                    peer.port.rx.receive(&mut burst);
                    let n = burst.len();
                    drop(burst);
                    peer.port.rx.release(n);
                }
                for (index, rx) in &mut members {
                    forwarder.forward(*index, &mut **rx, Time::ZERO);
                }
                forwarder.flush();
            }
        });
        for n in 0..500 {
            let joined = Arc::<Counters>::default();
            counters.push(joined.clone());
            let tx = ports::null::open().tx;
            let joining =
                Joining { name: "guest".to_owned(), tx, counters: joined, when_full: WhenFull::Drop };
            let index = switch.join(joining).unwrap();
            assert_eq!(index.number(), 4);
            if n % 8 == 0 {
                std::thread::yield_now();
            }
            assert!(switch.leave(index).is_some());
            assert!(switch.stations(Time::ZERO).iter().all(|s| s.port != index));
        }
        stop.store(1, Ordering::Relaxed);
    });
    let (put_in, came_out) = balance(&counters);
    assert_eq!(put_in, came_out);
}
