//! How bytes get across.

use super::*;
use ports::{Reason, offload::Offloads};

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

fn checksums_only() -> Capabilities {
    Capabilities { offloads: Offloads::CSUM, ..Capabilities::wire(1500) }
}

#[test]
fn megabytes_cross_both_ways_with_and_without_offloads() {
    for capabilities in [Capabilities::all(1500), checksums_only(), Capabilities::wire(1500)] {
        let mut n = Net::direct(capabilities);
        let (c, s) = n.connected(SocketOptions::default());
        let (mut up, mut down) = (Carry::new(c, s, 3 * MIB), Carry::new(s, c, 2 * MIB));
        assert!(n.until(SECOND * 3, |n| {
            let done = up.step(&mut n.a.stack, &mut n.b.stack);
            down.step(&mut n.b.stack, &mut n.a.stack) && done
        }));
        let (a, b) = (n.a.stack.info(c), n.b.stack.info(s));
        assert_eq!((a.retransmits, b.retransmits), (0, 0), "{capabilities:?}");
        assert!(n.until(SECOND, |n| n.a.stack.unacknowledged(c) + n.b.stack.unacknowledged(s) == 0));
        for host in [&n.a, &n.b] {
            assert_eq!(host.port.counters.read().drops(), 0);
        }
    }
}

#[test]
fn patterns_and_discarded_bytes_balance() {
    let mut n = Net::direct(Capabilities::all(1500));
    let (c, s) = n.connected(SocketOptions::default());
    let (mut sent, mut got) = (0, 0);
    assert!(n.until(SECOND * 3, |n| {
        sent += n.a.stack.send_pattern(c, (5 * MIB - sent).min(200_000));
        got += n.b.stack.discard(s, 1_000_000);
        got == 5 * MIB
    }));
    assert_eq!(sent, 5 * MIB);
    n.a.stack.send_pattern(c, 20);
    let mut into = [0; 20];
    assert!(n.until(SECOND, |n| n.b.stack.receive(s, &mut into) > 0));
    assert!(into.iter().all(u8::is_ascii_digit), "{into:?}");
}

#[test]
fn a_ring_that_is_full_holds_back_and_loses_nothing() {
    for capabilities in [Capabilities::all(1500), Capabilities::wire(1500)] {
        let mut n = Net::with_slots(capabilities, 64);
        let (c, s) = n.connected(SocketOptions::default());
        let (mut up, mut down) = (Carry::new(c, s, 3 * MIB), Carry::new(s, c, 3 * MIB));
        assert!(n.until(SECOND * 3, |n| {
            let done = up.step(&mut n.a.stack, &mut n.b.stack);
            down.step(&mut n.b.stack, &mut n.a.stack) && done
        }));
        assert_eq!(n.a.stack.info(c).retransmits + n.b.stack.info(s).retransmits, 0);
    }
}

#[test]
fn many_streams_share_a_small_ring() {
    let mut n = Net::with_slots(Capabilities::all(1500), 64);
    n.b.stack.listen(PORT, SocketOptions::default());
    let clients: Vec<_> =
        (0..128).map(|_| n.a.stack.connect(TO_B, SocketOptions::default()).unwrap()).collect();
    let mut servers = Vec::new();
    let mut got = vec![0; 128];
    n.until(Duration::from_millis(400), |n| {
        servers.extend(n.b.stack.accept(PORT));
        for c in &clients {
            n.a.stack.send_pattern(*c, MIB);
        }
        for (s, got) in servers.iter().zip(&mut got) {
            *got += n.b.stack.discard(*s, MIB);
        }
        false
    });
    let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
    assert!(*least > MIB / 2 && most < &(least * 2), "{least} .. {most}");
    let retransmits: u64 = clients.iter().map(|c| n.a.stack.info(*c).retransmits).sum();
    assert_eq!(retransmits, 0);
}

#[test]
fn the_window_option_bounds_what_is_in_flight() {
    let mut n = Net::direct(Capabilities::all(1500));
    let options = SocketOptions { window: Some(10_000), ..SocketOptions::default() };
    let (c, s) = n.connected(options);
    assert_eq!(n.a.stack.send_pattern(c, MIB), 10_000);
    n.until(SECOND, |_| false);
    assert_eq!(n.a.stack.send_pattern(c, MIB), 10_000, "acknowledged, but not read");
    n.until(SECOND, |_| false);
    assert_eq!(n.a.stack.send_pattern(c, MIB), 0);
    assert_eq!(n.a.stack.info(c).send_window, 0);
    assert_eq!(n.b.stack.discard(s, MIB), 10_000);
    let start = n.now;
    assert!(n.until(SECOND, |n| n.a.stack.unacknowledged(c) == 0));
    assert!(n.now.since(start) < Duration::from_millis(1), "a window that opens is announced");
    assert_eq!(n.a.stack.info(c).retransmits, 0);
}

#[test]
fn large_windows_are_scaled() {
    let mut n = Net::direct(Capabilities::all(1500));
    let options = SocketOptions { window: Some(4 * MIB), ..SocketOptions::default() };
    let (c, s) = n.connected(options);
    let mut sent = 0;
    n.until(SECOND, |n| {
        sent += n.a.stack.send_pattern(c, usize::MAX >> 8);
        false
    });
    assert!(sent > 2 * (4 * MIB - 256), "{sent}");
    assert!(n.b.stack.discard(s, usize::MAX >> 8) > 4 * MIB - 256);
}

/// So much time passes, while `b` takes what comes.
fn ticks(n: &mut Net, s: Connection, count: u32) {
    for _ in 0..count {
        n.tick();
        n.b.stack.discard(s, MIB);
    }
}

#[test]
fn two_super_frames_share_an_acknowledgement() {
    let mut n = Net::through(Capabilities::all(1500), Weather::default(), 1);
    let (c, s) = n.connected(SocketOptions::default());
    let goes_on = |n: &mut Net| {
        let before = n.frames();
        for _ in 0..1000 {
            n.a.stack.send_pattern(c, 43 * 1460);
            ticks(n, s, 5);
        }
        let after = n.frames();
        (after[0] - before[0], after[1] - before[1])
    };
    goes_on(&mut n); // its window grows
    assert_eq!(goes_on(&mut n), (1000, 500));
    if n.a.stack.unacknowledged(c) == 0 {
        n.a.stack.send_pattern(c, 43 * 1460);
    }
    let start = n.now;
    assert!(n.until(SECOND, |n| n.b.stack.discard(s, MIB) + n.a.stack.unacknowledged(c) == 0));
    let took = n.now.since(start).as_micros();
    assert!((600..1000).contains(&took), "the last is acknowledged alone, after {took} us");
}

/// Who sends no more until all is acknowledged gains nothing from waiting, however many super-frames that is.
#[test]
fn who_waits_for_acknowledgements_gets_them() {
    let mut n = Net::through(Capabilities::all(1500), Weather::default(), 1);
    let (c, s) = n.connected(SocketOptions::default());
    let start = n.now;
    for _ in 0..1000 {
        for _ in 0..2 {
            n.a.stack.send_pattern(c, 22 * 1460);
            ticks(&mut n, s, 3);
        }
        assert!(n.until(SECOND, |n| n.b.stack.discard(s, MIB) + n.a.stack.unacknowledged(c) == 0));
    }
    let took = n.now.since(start);
    assert!(took < Duration::from_millis(250), "{took:?}, of which 120 ms is its own");
}

#[test]
fn small_messages_are_not_held_back() {
    let mut n = Net::direct(Capabilities::all(1500));
    let (c, s) = n.connected(SocketOptions::default());
    let start = n.now;
    for i in 0..100u8 {
        n.a.stack.send(c, &[i, 1]);
        assert!(n.a.poll(n.now)); // on its way, not acknowledged
        n.a.stack.send(c, &[2, 3]);
        assert!(n.a.poll(n.now), "held back");
        let mut got = Vec::new();
        assert!(n.until(SECOND, |n| {
            let mut into = [0; 8];
            let k = n.b.stack.receive(s, &mut into);
            got.extend_from_slice(&into[..k]);
            got == [i, 1, 2, 3]
        }));
    }
    assert!(n.now.since(start) < Duration::from_millis(20), "{:?}", n.now.since(start));
}

#[test]
fn storms_delay_but_do_not_corrupt() {
    let weathers = [
        Weather { lost: 10, ..Weather::default() },
        Weather { lost: 50, ..Weather::default() },
        Weather { doubled: 100, ..Weather::default() },
        Weather { late: 50, ..Weather::default() },
        Weather { damaged: 20, ..Weather::default() },
        Weather { lost: 30, doubled: 30, late: 30, damaged: 10 },
    ];
    for (i, weather) in weathers.into_iter().enumerate() {
        let mut n = Net::stormy(weather, 0x1234_5678 + i as u64);
        let (c, s) = n.connected(SocketOptions::default());
        let start = n.now;
        let mut carry = Carry::new(c, s, 2 * MIB);
        let done = n.until(SECOND * 120, |n| carry.step(&mut n.a.stack, &mut n.b.stack));
        assert!(done, "weather {i}: {} of {}", carry.received, carry.total);
        let retransmits = n.a.stack.info(c).retransmits;
        let took = n.now.since(start);
        println!("weather {i}: {took:?}, {retransmits} retransmits, {:?}", n.a.stack.info(c));
        assert!(took < SECOND * 2, "weather {i}: {took:?}");
        assert_eq!(retransmits > 0, weather.lost + weather.late + weather.damaged > 0, "weather {i}");
        if weather.damaged > 0 {
            let drops = n.a.port.counters.read().dropped(Reason::BadChecksum)
                + n.b.port.counters.read().dropped(Reason::BadChecksum);
            assert!(drops > 0);
        }
        n.a.stack.close(c);
        assert!(n.until(SECOND * 60, |n| n.b.stack.state(s) == State::PeerClosed), "weather {i}");
    }
}

#[test]
fn several_losses_in_one_window_cost_round_trips_not_seconds() {
    let mut n = Net::stormy(Weather::default(), 99);
    let (c, s) = n.connected(SocketOptions::default());
    let mut warm = Carry::new(c, s, MIB);
    assert!(n.until(SECOND, |n| warm.step(&mut n.a.stack, &mut n.b.stack)));
    // One pass of bad weather, then sunshine.
    let mut carry = Carry::new(c, s, 0);
    carry.total = MIB;
    let start = n.now;
    for i in 0..40 {
        n.middle.as_mut().unwrap().weather.lost = if i == 3 { 300 } else { 0 };
        carry.step(&mut n.a.stack, &mut n.b.stack);
        n.step();
    }
    assert!(n.until(SECOND * 5, |n| carry.step(&mut n.a.stack, &mut n.b.stack)));
    assert!(n.a.stack.info(c).retransmits > 1, "{:?}", n.a.stack.info(c));
    assert!(n.now.since(start) < Duration::from_millis(100), "{:?}", n.now.since(start));
}

#[test]
fn the_window_recovers_from_a_loss_though_acknowledgements_are_few() {
    let mut n = Net::stormy(Weather::default(), 7);
    let (c, s) = n.connected(SocketOptions::default());
    let mut sent = 0;
    let mut pass = |n: &mut Net| {
        sent += n.a.stack.send_pattern(c, MIB);
        n.b.stack.discard(s, MIB);
        n.step();
        sent
    };
    for i in 0..300 {
        n.middle.as_mut().unwrap().weather.lost = if i == 200 { 100 } else { 0 };
        pass(&mut n);
    }
    assert!(n.a.stack.info(c).retransmits > 0);
    // One acknowledgement a pass, one pass a round trip.
    let before = pass(&mut n);
    for _ in 0..1000 {
        pass(&mut n);
    }
    let per_pass = (pass(&mut n) - before) / 1000;
    println!("{per_pass} bytes a pass, {:?}", n.a.stack.info(c));
    assert!(per_pass > 100_000, "{per_pass}");
}

#[test]
fn a_lost_tail_is_sent_again_before_a_second_passes() {
    let mut n = Net::stormy(Weather::default(), 5);
    let (c, s) = n.connected(SocketOptions::default());
    let mut warm = Carry::new(c, s, 100_000);
    assert!(n.until(SECOND, |n| warm.step(&mut n.a.stack, &mut n.b.stack)));
    n.a.stack.send(c, b"tail");
    n.middle.as_mut().unwrap().weather.lost = 1000;
    n.step();
    n.middle.as_mut().unwrap().weather.lost = 0;
    let start = n.now;
    let mut into = [0; 8];
    assert!(n.until(SECOND, |n| n.b.stack.receive(s, &mut into) == 4));
    assert!(n.now.since(start) < Duration::from_millis(100), "{:?}", n.now.since(start));
    assert_eq!(n.a.stack.info(c).retransmits, 1);
}

#[test]
fn frames_for_others_are_not_taken() {
    let mut n = Net::direct(Capabilities::all(1500));
    let (c, s) = n.connected(SocketOptions::default());
    n.a.stack.send(c, b"mine");
    n.a.poll(n.now);
    // The same frame under another destination station, then as it was.
    let mut burst = Burst::new();
    n.b.port.rx.receive(&mut burst);
    let frame = burst[burst.len() - 1];
    let (mut bytes, offload) = (frame.to_vec(), frame.offload());
    let count = burst.len();
    drop(burst);
    n.b.port.rx.release(count);
    bytes[5] ^= 0xff;
    n.a.port.tx.transmit(&[Frame::with_offload(&bytes, offload)]);
    n.b.poll(n.now);
    let mut into = [0; 8];
    assert_eq!(n.b.stack.receive(s, &mut into), 0);
    bytes[5] ^= 0xff;
    n.a.port.tx.transmit(&[Frame::with_offload(&bytes, offload)]);
    n.b.poll(n.now);
    assert_eq!(n.b.stack.receive(s, &mut into), 4);
}

#[test]
fn super_frames_say_what_they_need() {
    let mut n = Net::direct(Capabilities::all(1500));
    let (c, s) = n.connected(SocketOptions::default());
    let mut warm = Carry::new(c, s, 4 * MIB);
    assert!(n.until(SECOND, |n| warm.step(&mut n.a.stack, &mut n.b.stack)));
    n.a.stack.send_pattern(c, 300_000);
    n.a.poll(n.now);
    let mut burst = Burst::new();
    n.b.port.rx.receive(&mut burst);
    let large = burst.iter().max_by_key(|f| f.len()).unwrap();
    let o = large.offload();
    assert_eq!(large.len(), 54 + 44 * 1460);
    assert_eq!((o.gso(), o.gso_size, o.hdr_len), (ports::GsoType::Tcp4, 1460, 54));
    assert_eq!((o.needs_csum(), o.csum_start, o.csum_offset), (true, 34, 16));
    assert!(Capabilities::all(1500).takes(large.len(), o));
    // The field holds the sum of the pseudo-header, as the offload stage and every driver expect.
    let bytes = large.bytes().unwrap();
    let pseudo = ports::checksum::pseudo_header(&bytes[26..30], &bytes[30..34], 6, bytes.len() - 34);
    assert_eq!(bytes[50..52], ports::checksum::fold(pseudo).to_be_bytes());
}
