//! Frames and their headers, both ways.

use ports::contract::Far;
use ports::vhost_user::driver::{Driver, Style};
use ports::{Burst, Frame, Offload, Port};

use crate::sockets::{Place, eventually, poll, send, take};
use crate::{GUEST, RX, TX, open, options};

/// Passes what one guest sends on to another; how many frames came, and what the second got of them.
fn pass(from: &mut Port, to: &mut Port) -> (usize, u64) {
    let mut burst = Burst::new();
    from.rx.receive(&mut burst);
    let (n, sent) = (burst.len(), to.tx.transmit(&burst));
    assert_eq!(sent.taken, n, "room for all");
    drop(burst);
    from.rx.release(n);
    to.tx.flush();
    (n, sent.frames)
}

#[test]
fn the_lies_of_a_guest_reach_no_other() {
    let (here, there) = (Place::new("liar"), Place::new("lied-to"));
    let (mut from, mut to) = (open(&options(&here)), open(&options(&there)));
    let mut liar = Driver::connect(&options(&here).path, Style::PLAIN);
    let mut other = Driver::connect(&options(&there).path, Style::PLAIN);
    let good = Offload {
        flags: 1,
        gso_type: Offload::GSO_TCPV4,
        hdr_len: 54,
        gso_size: 100,
        csum_start: 34,
        csum_offset: 16,
    };
    for (offload, passes) in [
        (good, true),
        (Offload { csum_start: 1000, ..good }, false),
        (Offload { csum_start: 983, ..good }, false),
        (Offload { gso_size: 0, ..good }, false),
        (Offload { hdr_len: 1001, ..good }, false),
        (Offload { gso_type: Offload::GSO_UDP, ..good }, false), // UFO, never agreed on
        (Offload { gso_type: Offload::GSO_UDP_L4, ..good }, true),
        (Offload { gso_type: 77, ..good }, false),
        (Offload { flags: 0xff, ..good }, true),
    ] {
        assert!(liar.send(&[7; 1000], offload));
        let mut passed = (0, 0);
        eventually("nothing comes", || {
            passed = pass(&mut from, &mut to);
            passed.0 > 0
        });
        assert_eq!(passed, (1, passes.into()), "{offload:?}");
        // Only one flag is the guest's to set.
        let seen = Offload { flags: 1, ..offload };
        assert_eq!(
            other.receive().map(|(frame, offload)| (frame.len(), offload)),
            passes.then_some((1000, seen))
        );
    }
}

#[test]
fn headers_mean_what_was_agreed_on() {
    const CSUM: u64 = 1 << 0;
    const GUEST_CSUM: u64 = 1 << 1;
    const HOST: u64 = CSUM | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 56;
    let place = Place::new("agreed");
    let mut port = open(&options(&place));
    let valid = Offload { flags: 2, ..Offload::NONE };
    let bytes = [7; 60];
    for (features, flags) in [(u64::MAX, 2), (!GUEST_CSUM, 0), (!HOST, 2)] {
        let style = Style { features, scatter: false };
        let mut driver = Driver::connect(&options(&place).path, style);
        eventually("nothing is sent", || port.tx.transmit(&[Frame::with_offload(&bytes, valid)]).frames == 1);
        let seen = driver.receive().map(|(_, offload)| offload);
        assert_eq!(seen, Some(Offload { flags, ..Offload::NONE }), "{features:x}");
        let open = Offload { flags: 1, csum_start: 34, csum_offset: 16, ..Offload::NONE };
        for scatter in [false, true] {
            driver.scatter(scatter);
            assert!(driver.send(&bytes, open));
            eventually("nothing comes", || {
                let mut burst = Burst::new();
                port.rx.receive(&mut burst);
                let seen: Vec<_> = burst.iter().map(Frame::offload).collect();
                drop(burst);
                port.rx.release(seen.len());
                let said = if features & CSUM != 0 { open } else { Offload::NONE };
                seen.iter().for_each(|offload| assert_eq!(*offload, said, "{features:x}"));
                !seen.is_empty()
            });
        }
    }
}

#[test]
fn a_guest_is_sent_what_its_mtu_allows() {
    let place = Place::new("mtu");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    let frame = vec![7; 9014];
    let send = |port: &mut Port| port.tx.transmit(&[Frame::new(&frame)]).frames;
    assert_eq!((port.tx.capabilities().frame, send(&mut port)), (1514, 0));
    driver.say(20, &9000u64.to_le_bytes(), &[]);
    driver.confirm();
    assert_eq!((port.tx.capabilities().frame, send(&mut port)), (9014, 1));
    assert_eq!(driver.receive().map(|(frame, _)| frame.len()), Some(9014));
}

#[test]
fn a_guest_that_never_takes_fills_its_ring_and_no_more() {
    let place = Place::new("full");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    let mut sent = 0;
    eventually("the ring never fills", || {
        let now = send(&mut port, 100);
        sent += now;
        sent > 0 && now == 0
    });
    assert_eq!((sent, send(&mut port, 100)), (256, 0));
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("the other direction stands still", || poll(&mut port) == 1);
    // What it takes makes room for as many.
    assert!((0..10).all(|_| driver.receive().is_some()));
    assert_eq!(send(&mut port, 100), 10);
}

#[test]
fn memory_is_plugged_in_and_out_while_frames_go() {
    let place = Place::new("plug");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    let plugged = GUEST + (1 << 32);
    for round in 0..3 {
        driver.plug(plugged);
        driver.describe_raw(TX, 0, [plugged, 72]);
        driver.make_available(TX, 0);
        eventually("nothing comes from there", || poll(&mut port) == 1);
        assert_eq!(send(&mut port, 3), 3, "round {round}");
        driver.unplug(plugged);
        driver.describe_raw(TX, 0, [GUEST, 72]);
        driver.make_available(TX, 0);
        eventually("nothing comes from the rest", || poll(&mut port) == 1);
    }
    assert!(!driver.is_alone());
    driver.describe_raw(TX, 0, [plugged, 72]);
    driver.make_available(TX, 0);
    eventually("what is not there any more is read", || {
        poll(&mut port);
        driver.is_alone()
    });
}

/// Buffers of the ring's own, and then a table with the rest: no driver does it, and any may (virtio 1.2, 2.7.5.3.2).
#[test]
fn a_chain_may_end_in_a_table() {
    const NEXT: u64 = 1 << 32;
    const WRITE: u64 = 2 << 32;
    const INDIRECT: u64 = 4 << 32;
    const BUFFER: u64 = GUEST + 0x8_0000;
    let place = Place::new("table");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    // Of either ring the descriptors from the ninth on are the table.
    let table = |ring: u64| GUEST + ring * 0x1_0000 + 8 * 16;
    for (ring, to) in [(RX, WRITE), (TX, 0)] {
        driver.describe_raw(ring, 0, [BUFFER, 12 | NEXT | to]);
        driver.describe_raw(ring, 1, [table(ring as u64), 16 | INDIRECT]);
        driver.describe_raw(ring, 8, [BUFFER + 100, 60 | to]);
    }
    driver.make_available(TX, 0);
    let mut lens = Vec::new();
    eventually("nothing comes", || {
        lens.extend(take(&mut port).iter().map(Vec::len));
        !lens.is_empty() || driver.is_alone()
    });
    assert_eq!(lens, [60]);
    assert_eq!(send(&mut port, 1), 1);
    assert_eq!((driver.stop_ring(0), driver.stop_ring(1)), (1, 1));
}
