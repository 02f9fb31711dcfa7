//! One-way latency.

use pktgen::{Config, Delays, Event, Function, Latency};
use ports::{App, Time};

use crate::common::{SEC, US, cable, config, generator, is_sound, send, take};

#[test]
fn stamps_tell_of_one_way_latency_and_of_loss() {
    let (mut tx, _) = generator(Config { stamp: true, count: 600, burst: 3, ..config(Function::Tx) });
    let (mut rx, events) = generator(Config { stamp: true, interval_ms: 10, ..config(Function::Rx) });
    let (mut tx_far, mut tx_near) = cable(64);
    let (mut rx_far, mut rx_near) = cable(64);
    let (mut delays, mut now) = (Vec::new(), SEC);
    for round in 0..200u64 {
        tx.poll(&mut tx_near, Time(now));
        tx_near.tx.flush();
        let delay = round * 300;
        for (n, frame) in take(&mut tx_far).iter().enumerate() {
            assert!(is_sound(frame));
            if (round, n) == (0, 0) || (round, n) == (199, 2) || !round.is_multiple_of(10) || n != 1 {
                send(&mut rx_far, frame);
                delays.push(delay);
            }
        }
        rx.poll(&mut rx_near, Time(now + delay));
        now += 100 * US;
    }
    rx.stop(Time(now));
    assert!(rx.poll(&mut rx_near, Time(now)).done);
    let events = events.lock().unwrap();
    let total =
        events.iter().find_map(|e| if let Event::DelayTotal(d) = e { Some(d) } else { None }).unwrap();
    assert_eq!((total.received, total.lost), (580, 20));
    assert_eq!(total.delay, Latency::of(delays));
    let received = |e: &Event| if let Event::Delay(Delays { received, .. }) = e { *received } else { 0 };
    assert_eq!(events.iter().map(received).sum::<u64>(), 580);
    assert!(events.iter().filter(|e| matches!(e, Event::Delay(_))).count() > 1);
}

#[test]
fn a_lent_clock_says_when_the_frames_of_a_pass_were_found() {
    let (mut tx, _) = generator(Config { stamp: true, count: 3, ..config(Function::Tx) });
    let (rx, events) = generator(Config { stamp: true, count: 3, ..config(Function::Rx) });
    let mut rx = rx.with_clock(|| Time(SEC + 70));
    let (mut tx_far, mut tx_near) = cable(64);
    let (mut rx_far, mut rx_near) = cable(64);
    tx.poll(&mut tx_near, Time(SEC));
    tx_near.tx.flush();
    rx.poll(&mut rx_near, Time(SEC - 50)); // it began before they were sent
    take(&mut tx_far).iter().for_each(|frame| send(&mut rx_far, frame));
    while !rx.poll(&mut rx_near, Time(SEC - 50)).done {}
    let events = events.lock().unwrap();
    let total = events.iter().find_map(|e| if let Event::DelayTotal(d) = e { Some(d) } else { None });
    assert_eq!(total.map(|d| &d.delay), Some(&Latency::of([70; 3])));
}
