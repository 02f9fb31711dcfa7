//! Two stacks on a cable, in virtual time.

mod connect;
mod garbage;
mod neighbours;
mod transfer;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use ports::{Burst, Capabilities, Frame, Mac, Port, Time, virtual_port};

use super::{Config, Stack};
use crate::transport::{Connection, SocketOptions, State, Transport};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 5201;
const TO_B: SocketAddrV4 = SocketAddrV4::new(B, PORT);
const TICK: Duration = Duration::from_micros(20);

fn mac(a: Ipv4Addr) -> Mac {
    let [.., last] = a.octets();
    Mac::new([2, 0, 0, 0, 0, last])
}

fn config(a: Ipv4Addr) -> Config {
    Config::new(a, 24, mac(a), u64::from(a.to_bits()))
}

struct Host {
    stack: Stack,
    port: Port,
}

impl Host {
    fn new(config: Config, capabilities: Capabilities, port: Port) -> Self {
        Self { stack: Stack::new(config, capabilities).unwrap(), port }
    }

    fn poll(&mut self, now: Time) -> bool {
        let moved = self.stack.poll(&mut self.port, now);
        self.port.tx.flush();
        moved
    }
}

/// Xorshift, for repeatable misfortune.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What happens to frames on their way, each in so many of a thousand.
#[derive(Clone, Copy, Default)]
struct Weather {
    lost: u64,
    doubled: u64,
    late: u64,
    damaged: u64,
}

/// A cable with weather: the far ends of both hosts' ports.
struct Middle {
    ends: [Port; 2],
    held: [Vec<Vec<u8>>; 2],
    dice: Dice,
    weather: Weather,
    /// From `a` to `b`, and back.
    frames: [u64; 2],
}

impl Middle {
    fn pass(&mut self) -> bool {
        let [a, b] = &mut self.ends;
        let [to_b, to_a] = &mut self.held;
        let (dice, weather) = (&mut self.dice, self.weather);
        let before = self.frames;
        self.frames[0] += Self::carry_all(dice, weather, a, b, to_b);
        self.frames[1] += Self::carry_all(dice, weather, b, a, to_a);
        self.frames != before || self.held.iter().any(|h| !h.is_empty())
    }

    fn carry_all(
        dice: &mut Dice,
        w: Weather,
        from: &mut Port,
        to: &mut Port,
        held: &mut Vec<Vec<u8>>,
    ) -> u64 {
        let mut burst = Burst::new();
        from.rx.receive(&mut burst);
        let n = burst.len();
        let late = std::mem::take(held);
        for frame in &burst {
            Self::carry(dice, w, frame, to, held);
        }
        for bytes in late {
            to.tx.transmit(&[Frame::new(&bytes)]);
        }
        drop(burst);
        from.rx.release(n);
        to.tx.flush();
        n as u64
    }

    fn carry(dice: &mut Dice, w: Weather, frame: &Frame<'_>, to: &mut Port, held: &mut Vec<Vec<u8>>) {
        if dice.roll(1000) < w.lost {
            return;
        }
        let mut bytes = frame.to_vec();
        if dice.roll(1000) < w.damaged {
            let at = usize::try_from(dice.roll(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << dice.roll(8);
        }
        if dice.roll(1000) < w.late {
            return held.push(bytes);
        }
        let frame = Frame::with_offload(&bytes, frame.offload());
        to.tx.transmit(&[frame]);
        if dice.roll(1000) < w.doubled {
            to.tx.transmit(&[frame]);
        }
    }
}

struct Net {
    a: Host,
    b: Host,
    middle: Option<Middle>,
    now: Time,
}

impl Net {
    fn direct(capabilities: Capabilities) -> Self {
        Self::with_slots(capabilities, 256)
    }

    fn with_slots(capabilities: Capabilities, slots: u16) -> Self {
        let (a, b) = virtual_port::pair("cable", slots, capabilities).unwrap();
        let (a, b) = (Host::new(config(A), capabilities, a), Host::new(config(B), capabilities, b));
        Self { a, b, middle: None, now: Time::from_secs(1) }
    }

    fn stormy(weather: Weather, seed: u64) -> Self {
        Self::through(Capabilities::wire(1500), weather, seed)
    }

    fn through(capabilities: Capabilities, weather: Weather, seed: u64) -> Self {
        let (end_a, a) = virtual_port::pair("a", 1024, capabilities).unwrap();
        let (end_b, b) = virtual_port::pair("b", 1024, capabilities).unwrap();
        let (a, b) = (Host::new(config(A), capabilities, a), Host::new(config(B), capabilities, b));
        let ends = [end_a, end_b];
        let middle = Middle { ends, held: Default::default(), dice: Dice(seed), weather, frames: [0; 2] };
        Self { a, b, middle: Some(middle), now: Time::from_secs(1) }
    }

    /// What the cable has carried, from `a` to `b`, and back.
    fn frames(&self) -> [u64; 2] {
        self.middle.as_ref().unwrap().frames
    }

    /// One tick; says whether anything moved.
    fn tick(&mut self) -> bool {
        let mut moved = self.a.poll(self.now);
        moved |= self.middle.as_mut().is_some_and(Middle::pass);
        moved |= self.b.poll(self.now);
        moved |= self.middle.as_mut().is_some_and(Middle::pass);
        self.now = self.now + TICK;
        moved
    }

    /// One tick; when all rest, time leaps to the next deadline.
    fn step(&mut self) {
        let now = self.now;
        if !self.tick() {
            let deadline = self.a.stack.deadline(now).min(self.b.stack.deadline(now));
            self.now = self.now.max(deadline.min(now + Duration::from_secs(1)));
        }
    }

    /// Steps until `done`, at most for `limit` of virtual time. Says whether it came.
    fn until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    /// A connection from `a` to `b`: both ends.
    fn connected(&mut self, options: SocketOptions) -> (Connection, Connection) {
        self.b.stack.listen(PORT, options);
        let c = self.a.stack.connect(TO_B, options).unwrap();
        let mut accepted = None;
        assert!(self.until(Duration::from_secs(20), |n| {
            accepted = accepted.or_else(|| n.b.stack.accept(PORT));
            accepted.is_some() && n.a.stack.state(c) == State::Open
        }));
        (c, accepted.unwrap())
    }
}

/// The byte at a place of the test stream.
fn stream(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

/// One direction of a transfer, with its content checked.
struct Carry {
    from: Connection,
    to: Connection,
    sent: usize,
    received: usize,
    total: usize,
}

impl Carry {
    fn new(from: Connection, to: Connection, total: usize) -> Self {
        Self { from, to, sent: 0, received: 0, total }
    }

    fn step(&mut self, from: &mut Stack, to: &mut Stack) -> bool {
        let chunk: Vec<u8> = (self.sent..self.total.min(self.sent + 32 * 1024)).map(stream).collect();
        self.sent += from.send(self.from, &chunk);
        let mut into = vec![0; 128 * 1024];
        let n = to.receive(self.to, &mut into);
        let wrong = into[..n].iter().enumerate().position(|(i, b)| *b != stream(self.received + i));
        assert_eq!(wrong, None, "after {}", self.received);
        self.received += n;
        self.received == self.total
    }
}
