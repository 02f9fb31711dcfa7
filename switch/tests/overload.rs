//! Receivers that are too slow, or have stopped: who loses frames then, and who must not. In virtual time, over real
//! frame rings.

use std::sync::Arc;
use std::time::Duration;

use ports::virtual_port::{self, DEFAULT_SLOTS};
use ports::{BURST, Burst, Capabilities, Counters, Frame, Mac, Offload, Port, Reason, Rx, Time};
use switch::{Forwarder, Joining, Options, PATIENCE, PortIndex, Switch, WhenFull};

/// Where a frame has its number.
const NUMBER: usize = 16;
/// Time between two passes.
const PASS: Duration = Duration::from_micros(20);

/// A member of the switch, and the app at its other end.
struct Member {
    index: PortIndex,
    rx: Box<dyn Rx>,
    counters: Arc<Counters>,
    app: Port,
    /// Number of the next frame that the app is to receive, if it has to be this.
    expected: u64,
}

/// One sender, member 0, and up to four receivers, of which the nth has station n.
struct Bridge {
    forwarder: Forwarder,
    members: Vec<Member>,
    now: Time,
}

fn mac(n: usize) -> Mac {
    Mac::from_bits(0x0200_0000_0000 | n as u64)
}

fn frame(dst: Mac, src: Mac) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&dst.octets());
    frame[6..12].copy_from_slice(&src.octets());
    frame
}

impl Bridge {
    fn new(receivers: usize, when_full: WhenFull) -> Self {
        let switch = Arc::new(Switch::new("vale0", Options::default()));
        let mut forwarder = Forwarder::new(switch.clone());
        let now = Time::from_secs(1);
        let join = |n: usize| {
            let name = n.to_string();
            let (port, mut app) =
                virtual_port::pair(&name, DEFAULT_SLOTS, Capabilities::all(1500)).expect("memory for a ring");
            let (counters, mut rx) = (port.counters, port.rx);
            let joining = Joining { name, tx: port.tx, counters: counters.clone(), when_full };
            let index = switch.join(joining).expect("a new name");
            if n > 0 {
                app.tx.transmit(&[Frame::new(&frame(mac(0), mac(n)))]);
                forwarder.forward(index, &mut *rx, now);
            }
            Member { index, rx, counters, app, expected: n.saturating_sub(1) as u64 }
        };
        let mut members: Vec<_> = (0..=receivers).map(join).collect();
        for member in &mut members {
            member.take(BURST, |_| {});
        }
        Self { forwarder, members, now }
    }

    /// Sends up to a burst of frames, numbered from `first`, to the stations in turn. Says how many found room.
    fn send(&mut self, first: u64, limit: u64) -> u64 {
        let stations = self.members.len() - 1;
        let heads: [_; 4] = std::array::from_fn(|n| frame(mac(n + 1), mac(0)));
        let mut to = usize::try_from(first % stations as u64).expect("a few");
        let tx = &mut self.members[0].app.tx;
        let mut number = first;
        while number < limit.min(first + BURST as u64) {
            let Some(slot) = tx.reserve(60) else { break };
            slot[..NUMBER].copy_from_slice(&heads[to][..NUMBER]);
            slot[NUMBER..NUMBER + 8].copy_from_slice(&number.to_ne_bytes());
            tx.commit(60, Offload::NONE);
            number += 1;
            to = if to + 1 < stations { to + 1 } else { 0 };
        }
        tx.flush();
        number - first
    }

    fn pass(&mut self) {
        self.now = self.now + PASS;
        let sender = &mut self.members[0];
        self.forwarder.forward(sender.index, &mut *sender.rx, self.now);
        self.forwarder.flush();
    }

    /// Lets receiver `n` take up to `most` frames, each of which must be the next for it. Says how many there were.
    fn receive(&mut self, n: usize, most: usize) -> u64 {
        let stations = self.members.len() as u64 - 1;
        let member = &mut self.members[n];
        let (first, mut taken) = (member.expected, 0);
        member.take(most, |frame| {
            let mut number = [0; 8];
            frame.copy_at(NUMBER, &mut number);
            assert_eq!(u64::from_ne_bytes(number), first + taken * stations, "receiver {n}");
            taken += 1;
        });
        member.expected += taken * stations;
        taken
    }

    /// What was put in and what came of it, over all members.
    fn balance(&self) -> (u64, u64) {
        let all = self.members.iter().map(|member| member.counters.read());
        all.fold((0, 0), |(i, o), t| (i + t.rx_frames + t.copies, o + t.tx_frames + t.drops()))
    }

    fn dropped(&self, n: usize) -> u64 {
        self.members[n].counters.read().drops()
    }
}

impl Member {
    fn take(&mut self, most: usize, mut each: impl FnMut(&Frame<'_>)) {
        let mut burst = Burst::new();
        self.app.rx.receive(&mut burst);
        let n = burst.len().min(most);
        burst.iter().take(n).for_each(&mut each);
        drop(burst);
        self.app.rx.release(n);
    }
}

/// Sends so many frames to a receiver that takes them at an uneven pace, slower than they could be sent: the sender
/// waits, and each arrives once, in order.
fn press(frames: u64) {
    let mut bridge = Bridge::new(1, WhenFull::Wait);
    let (mut sent, mut received, mut waits, mut dice) = (0, 0, 0_u64, 1_u64);
    while received < frames {
        let room = bridge.send(sent, frames);
        sent += room;
        waits += u64::from(room < BURST as u64 && sent < frames);
        bridge.pass();
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        received += bridge.receive(1, usize::try_from(dice >> 55).expect("9 bits"));
    }
    assert!(waits > frames / 100_000, "the sender hardly ever waited: {waits}");
    assert_eq!((sent, received), (frames, frames));
    assert_eq!((bridge.dropped(0), bridge.dropped(1)), (0, 0));
    let (put_in, came_out) = bridge.balance();
    assert_eq!(put_in, came_out);
    println!("{frames} frames, each once and in order; the sender waited {waits} times");
}

#[test]
fn nothing_is_lost_under_pressure() {
    press(1_000_000);
}

#[test]
#[ignore = "a billion frames: with --release, by scripts/test"]
fn nothing_is_lost_of_a_billion() {
    press(1_000_000_000);
}

/// What a NIC sends to four, one of which has stopped, reaches the other three in full; what the fourth has no room
/// for is counted there.
#[test]
fn a_stopped_receiver_loses_its_own_frames_only() {
    let mut bridge = Bridge::new(4, WhenFull::Drop);
    let (mut sent, mut received) = (0, [0; 4]);
    for _ in 0..1000 {
        sent += bridge.send(sent, u64::MAX);
        bridge.pass();
        for n in 1..=3 {
            received[n - 1] += bridge.receive(n, BURST);
        }
    }
    assert_eq!(sent, 1000 * BURST as u64, "the sender waits for nobody");
    assert_eq!(received, [sent / 4, sent / 4, sent / 4, 0]);
    let stopped = bridge.members[4].counters.read();
    assert_eq!(stopped.tx_frames, u64::from(DEFAULT_SLOTS));
    assert_eq!(stopped.dropped(Reason::Full), sent / 4 - u64::from(DEFAULT_SLOTS));
    assert_eq!(stopped.drops(), stopped.dropped(Reason::Full));
    assert_eq!([0, 1, 2, 3].map(|n| bridge.dropped(n)), [0; 4]);
}

/// An app is held up by a receiver that stops for as long as that may yet go on, and no longer: then as above.
#[test]
fn a_stopped_receiver_holds_an_app_up_once() {
    let mut bridge = Bridge::new(4, WhenFull::Wait);
    let (mut sent, mut received, mut last_wait) = (0, [0; 4], 0);
    let patience = PATIENCE.as_nanos() / PASS.as_nanos();
    let passes = u64::try_from(patience).expect("some thousands") * 2;
    for pass in 0..passes {
        let room = bridge.send(sent, u64::MAX);
        if room < BURST as u64 {
            last_wait = pass;
        }
        sent += room;
        bridge.pass();
        for n in 1..=3 {
            received[n - 1] += bridge.receive(n, BURST);
        }
    }
    let filled = u64::from(DEFAULT_SLOTS) * 4 / BURST as u64;
    let waited = u128::from(last_wait) - u128::from(filled);
    assert!((patience - 2..patience + 10).contains(&waited), "{waited} passes of {patience}");
    assert!(received[..3].iter().all(|n| sent / 4 - n <= BURST as u64), "{received:?} of {sent}");
    let full = bridge.members[4].counters.read().dropped(Reason::Full);
    assert!(full > (passes - last_wait - 10) * BURST as u64 / 4, "{full}");
    assert_eq!([0, 1, 2, 3].map(|n| bridge.dropped(n)), [0; 4]);
}
