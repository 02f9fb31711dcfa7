//! Nanoseconds per frame of the generator, on one core, into a virtual port that is drained at once.
//!
//! `floor` rows are the bare ways to fill the port's slots, without a generator: what it could cost at best.

#![forbid(unsafe_code)]

use std::hint::black_box;

use pktgen::{Config, Frames, Function, Generator};
use ports::virtual_port::{DEFAULT_SLOTS, pair};
use ports::{App, BURST, Burst, Capabilities, Frame, Offload, Port, Time};

const ROUNDS: u32 = 40_000;
const TRIES: u32 = 5;

fn drain(port: &mut Port) -> u64 {
    let mut drained = 0;
    loop {
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len();
        drop(burst);
        port.rx.release(n);
        drained += n as u64;
        if n < BURST {
            return drained;
        }
    }
}

/// Prints the least time of a frame over a few tries, `fill` and `empty` taking turns.
fn measure(name: &str, len: usize, mut fill: impl FnMut(&mut Port), mut empty: impl FnMut(&mut Port) -> u64) {
    let (mut far, mut near) =
        pair("bench", DEFAULT_SLOTS, Capabilities::all(1500)).expect("memory for two rings");
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let start = Time::now();
        let mut frames = 0;
        for _ in 0..ROUNDS {
            fill(&mut near);
            near.tx.flush();
            frames += empty(&mut far);
        }
        best = best.min(Time::now().since(start).as_nanos() as f64 / frames as f64);
    }
    let gbps = len as f64 * 8.0 / best;
    println!("{name:<28} {len:>5} B  {best:>6.2} ns/frame  {:>7.2} Mpps  {gbps:>6.1} Gbit/s", 1e3 / best);
}

fn generator(function: Function, len: usize, range: &str) -> Generator {
    let config = Config {
        frames: Frames {
            size: u32::try_from(len).expect("a small number").into(),
            src: range.parse().expect("a range"),
            ..Frames::default()
        },
        ..Config::new("bench", function)
    };
    Generator::new(config, None, Box::new(|event| drop(black_box(event)))).expect("a sound config")
}

fn polled(mut app: Generator) -> impl FnMut(&mut Port) {
    move |port| {
        let now = Time::now(); // as a worker does, once a pass
        black_box(app.poll(port, now));
    }
}

fn main() {
    for len in [60, 64, 1514] {
        let bytes = vec![7; len];
        let frames = [Frame::new(&bytes); 2 * BURST];
        let at_once = |p: &mut Port| {
            black_box(p.tx.transmit(&frames));
        };
        measure("floor: transmit", len, at_once, drain);
        let in_place = |p: &mut Port| {
            for _ in 0..2 * BURST {
                let Some(slot) = p.tx.reserve(len) else { break };
                slot.copy_from_slice(&bytes);
                p.tx.commit(len, Offload::NONE);
            }
        };
        measure("floor: reserve and commit", len, in_place, drain);
        measure("tx, one flow", len, polled(generator(Function::Tx, len, "10.0.0.1")), drain);
        measure(
            "tx, 1000 flows",
            len,
            polled(generator(Function::Tx, len, "10.0.0.1:1-10.0.0.1:1000")),
            drain,
        );
        let mut rx = polled(generator(Function::Rx, 60, "10.0.0.1"));
        let receive = |p: &mut Port| {
            rx(p);
            2 * BURST as u64
        };
        measure("tx to rx, one flow", len, polled(generator(Function::Tx, len, "10.0.0.1")), receive);
    }
}
