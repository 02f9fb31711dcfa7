//! Forwarding allocates nothing: not when frames pass, nor when they are flooded, held, dropped or segmented.

use std::sync::Arc;

use ports::contract::Allocations;
use ports::{Burst, Capabilities, Frame, Mac, Offload, Port, Rx, Time, virtual_port};
use switch::{Forwarder, Joining, Options, PortIndex, Switch, WhenFull};

#[global_allocator]
static ALLOCATIONS: Allocations = Allocations::new();

struct Member {
    index: PortIndex,
    rx: Box<dyn Rx>,
    app: Port,
}

fn join(switch: &Switch, name: &str, when_full: WhenFull, takes: Capabilities) -> Member {
    let (port, app) = virtual_port::pair(name, 64, takes).expect("memory for a ring");
    let joining = Joining { name: name.to_owned(), tx: port.tx, counters: port.counters, when_full };
    Member { index: switch.join(joining).expect("a new name"), rx: port.rx, app }
}

fn drain(port: &mut Port) -> usize {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let n = burst.len();
    drop(burst);
    port.rx.release(n);
    n
}

#[test]
fn forwarding_allocates_nothing() {
    ALLOCATIONS.watch();
    let switch = Arc::new(Switch::new("vale0", Options::default()));
    assert_ne!(ALLOCATIONS.seen(), 0, "allocations are not counted");
    let mut forwarder = Forwarder::new(switch.clone());
    let takes = [
        Capabilities::all(1500),
        Capabilities::wire(1500),
        Capabilities::wire(1500),
        Capabilities::all(1500),
    ];
    let mut members: Vec<_> = takes
        .into_iter()
        .zip([WhenFull::Wait, WhenFull::Drop, WhenFull::Wait, WhenFull::Drop])
        .enumerate()
        .map(|(n, (takes, when_full))| join(&switch, &n.to_string(), when_full, takes))
        .collect();
    let mut frame = vec![0; 20_000];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0x4e, 0x12, 0, 0, 0, 0, 64, 6]);
    frame[46] = 0x50;
    let tso = Offload {
        flags: 1,
        gso_type: Offload::GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1448,
        csum_start: 34,
        csum_offset: 16,
    };
    forwarder.refresh(); // lets go of what it had before anybody joined
    let before = ALLOCATIONS.seen();
    let mut moved = 0;
    for turn in 0..1000u64 {
        for n in 0..4u64 {
            let member = &mut members[usize::try_from(n).unwrap()];
            let to = [Mac::BROADCAST, Mac::from_bits(0x0200_0000_0000 | ((turn + n) % 6))];
            frame[6..12].copy_from_slice(&Mac::from_bits(0x0200_0000_0000 | n | (turn << 8)).octets());
            frame[..6].copy_from_slice(&to[usize::try_from(turn % 2).unwrap()].octets());
            member.app.tx.transmit(&[
                Frame::new(&frame[..60]),
                Frame::with_offload(&frame, tso),
                Frame::new(&[]),
            ]);
            forwarder.forward(member.index, &mut *member.rx, Time(turn * 10_000_000));
            forwarder.flush();
            if turn % 3 == 0 {
                moved += drain(&mut member.app);
            }
        }
    }
    let after = ALLOCATIONS.seen();
    assert!(moved > 1000, "{moved}");
    assert_eq!(after - before, 0);
}
