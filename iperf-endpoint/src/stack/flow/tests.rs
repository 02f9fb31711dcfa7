use std::net::Ipv4Addr;

use super::super::segment::BareAck;
use super::*;

const MS: u64 = 1_000_000;

fn ack(flow: &mut Flow, ack: u32, window: u16, now: u64) {
    let bytes = BareAck {
        to_mac: [2; 6],
        from_mac: [4; 6],
        from: Ipv4Addr::new(10, 0, 0, 2),
        to: Ipv4Addr::new(10, 0, 0, 1),
        from_port: 1,
        to_port: 2,
        seq: 500,
        ack,
        window,
    }
    .frame();
    flow.received(&Segment::parse(&bytes).unwrap(), &bytes, Time(now));
}

/// A flow with the handshake done in 2 ms and ten segments in flight since 10 ms.
fn flow() -> Flow {
    let mut f = Flow::new(1000);
    f.sent(99, 0, flag::SYN, 0, Time(0));
    ack(&mut f, 100, 1000, 2 * MS);
    for i in 0..10 {
        f.sent(100 + i * 1000, 1000, flag::ACK, 500, Time(10 * MS));
    }
    f
}

#[test]
fn round_trips_are_timed_one_at_a_time() {
    let mut f = flow();
    assert_eq!(f.info().rtt, Duration::from_millis(2));
    ack(&mut f, 1100, 1000, 20 * MS);
    assert_eq!(f.info().rtt, Duration::from_millis(3)); // 7/8 * 2 + 1/8 * 10
    ack(&mut f, 2100, 1000, 90 * MS); // nothing timed it
    assert_eq!(f.info().rtt, Duration::from_millis(3));
    assert_eq!(f.info().retransmits, 0);
    assert_eq!(f.info().cwnd, 10_000);
}

#[test]
fn segments_sent_again_are_counted_and_not_timed() {
    let mut f = flow();
    f.sent(100, 1000, flag::ACK, 500, Time(11 * MS));
    f.sent(8100, 2000, flag::ACK, 500, Time(11 * MS));
    assert_eq!(f.info().retransmits, 3);
    ack(&mut f, 10_100, 1000, 500 * MS);
    assert_eq!(f.info().rtt, Duration::from_millis(2));
    assert_eq!(f.in_flight(), 0);
}

#[test]
fn keep_alives_and_window_probes_are_no_retransmits() {
    let mut f = flow();
    ack(&mut f, 10_100, 0, 12 * MS);
    f.sent(10_099, 1, flag::ACK, 500, Time(20 * MS));
    f.sent(10_100, 1, flag::ACK, 500, Time(30 * MS));
    f.sent(10_100, 1, flag::ACK, 500, Time(40 * MS));
    assert_eq!(f.info().retransmits, 0);
    assert_eq!(f.deadline(), Time::NEVER);
    ack(&mut f, 10_101, 10, 41 * MS);
    assert_eq!(f.in_flight(), 0);
}

#[test]
fn a_partial_acknowledgement_nudges() {
    let mut f = flow();
    for _ in 0..3 {
        ack(&mut f, 100, 1000, 12 * MS);
    }
    assert_eq!(f.take_nudge(Time(12 * MS)), None, "smoltcp saw three duplicates");
    ack(&mut f, 3100, 1000, 13 * MS);
    assert_eq!(f.take_nudge(Time(13 * MS)), Some(Shown { seq: 500, ack: 3100, window: 999 }));
    assert_eq!(f.take_nudge(Time(13 * MS)), None);
    ack(&mut f, 10_100, 1000, 14 * MS);
    assert_eq!(f.take_nudge(Time(14 * MS)), None);
}

#[test]
fn silence_nudges_a_few_times() {
    let mut f = flow();
    let mut now = Time(10 * MS);
    for wait in [60, 120, 240] {
        assert_eq!(f.deadline(), now + Duration::from_millis(wait));
        now = f.deadline();
        assert!(f.take_nudge(now).is_some());
    }
    assert_eq!(f.deadline(), Time::NEVER);
}

#[test]
fn what_acknowledges_the_future_is_ignored() {
    let mut f = flow();
    ack(&mut f, 10_102, 0, 12 * MS);
    assert_eq!((f.in_flight(), f.window), (10_000, 1000));
    assert!(f.take_nudge(f.deadline()).is_some());
}

#[test]
fn a_lone_fin_is_left_to_the_socket() {
    let mut f = flow();
    ack(&mut f, 10_100, 1000, 11 * MS);
    f.sent(10_100, 0, flag::ACK | flag::FIN, 500, Time(12 * MS));
    assert_eq!(f.deadline(), Time::NEVER);
}
