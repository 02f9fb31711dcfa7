//! Rings of their own: who is woken by them, and what becomes of one that is given up.

use ports::contract::Far;
use ports::vhost_user::Options;
use ports::vhost_user::driver::{Driver, Style};
use ports::{Burst, Offload, Reason, Rx, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll as poll_fds};

use crate::sockets::{Place, eventually, poll};
use crate::{TX, open, options};

fn is_readable(rx: &dyn Rx) -> bool {
    let fd = rx.fd().expect("a descriptor to wake by");
    poll_fds(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(1)
}

#[test]
fn each_worker_is_woken_by_its_share_of_the_rings() {
    let place = Place::new("shares");
    let options = Options { queues: 2, workers: 2, ..options(&place) };
    let mut port = open(&options);
    let mut driver = Driver::connect(&options.path, Style::PLAIN);
    let mut other = port.more_rx.pop().expect("a second half");
    for (ring, pair) in [(1, 0), (3, 1)] {
        if pair == 1 {
            driver.stop_ring(1);
            driver.say(18, &[3u32, 1].map(u32::to_le_bytes).concat(), &[]);
            driver.start_ring(ring, 0);
        }
        driver.confirm();
        let halves: [&mut dyn Rx; 2] = [&mut *port.rx, &mut *other];
        for half in halves {
            half.disarm();
            assert!(!half.arm());
            assert!(!is_readable(half));
        }
        assert!(driver.send(&[7; 60], Offload::NONE));
        let (woken, asleep): (&mut dyn Rx, &mut dyn Rx) =
            if pair == 0 { (&mut *port.rx, &mut *other) } else { (&mut *other, &mut *port.rx) };
        eventually("nobody is woken", || is_readable(woken));
        assert!(!is_readable(asleep));
        let mut burst = Burst::new();
        asleep.receive(&mut burst);
        assert!(burst.is_empty());
        let mut burst = Burst::new();
        woken.receive(&mut burst);
        assert_eq!(burst.len(), 1);
        drop(burst);
        woken.release(1);
        woken.disarm();
    }
}

/// Its driver takes its buffers back when it transmits again, and an interrupt costs it more than that.
#[test]
fn a_guest_that_goes_on_is_called_later() {
    let place = Place::new("later");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::OLD); // which wants every call
    let _ = driver.is_called(TX); // a new one is, whatever it wants
    let us = |n| Time(n * 1000);
    let mut send = |driver: &mut Driver, at: u64| {
        assert!(driver.send(&[7; 60], Offload::NONE));
        eventually("nothing comes", || poll(&mut port) == 1);
        port.rx.tend(us(at))
    };
    assert_eq!((send(&mut driver, 1000), driver.is_called(TX)), (Time::NEVER, true), "it begins");
    let due = send(&mut driver, 1100);
    assert!((us(1101)..us(1400)).contains(&due) && !driver.is_called(TX), "{due:?}");
    assert_eq!((send(&mut driver, 1101), driver.is_called(TX)), (due, false));
    assert_eq!((port.rx.tend(due), driver.is_called(TX)), (Time::NEVER, true));
    assert_eq!((port.rx.tend(us(9000)), driver.is_called(TX)), (Time::NEVER, false), "once");
}

/// A driver that asks for a call far ahead, and is done before, asks for none: indices of 16 bits are no reason to forget it.
#[test]
fn a_call_that_is_wanted_after_a_round_of_the_indices_is_made() {
    let place = Place::new("round");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    let _ = driver.is_called(TX);
    for n in 1..=1 << 16 {
        let last = n == 1 << 16;
        driver.want_call(TX, if last { 1 } else { 1000 });
        assert!(driver.send(&[7; 60], Offload::NONE));
        eventually("nothing comes", || poll(&mut port) == 1);
        port.rx.tend(Time(n * 1_000_000));
        assert_eq!(driver.is_called(TX), last, "frame {n}");
    }
}

/// A guest that gives up a processor's ring may have sent by it a moment before, and waits for its buffers
/// (QEMU `docs/interop/vhost-user.rst`, "Ring states").
#[test]
fn what_is_sent_by_a_disabled_ring_is_given_back_and_counted() {
    let place = Place::new("disabled");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    let enable = |driver: &mut Driver, on: u32| {
        driver.say(18, &[1, on].map(u32::to_le_bytes).concat(), &[]);
        driver.confirm();
    };
    enable(&mut driver, 0);
    port.rx.disarm();
    assert!(!port.rx.arm() && !is_readable(&*port.rx));
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("nobody is woken", || is_readable(&*port.rx));
    port.rx.disarm();
    assert_eq!(poll(&mut port), 0);
    let counts = port.counters.read();
    assert_eq!((counts.rx_frames, counts.dropped(Reason::Error)), (1, 1));
    enable(&mut driver, 1);
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("nothing comes", || poll(&mut port) == 1);
    assert_eq!((driver.stop_ring(1), port.counters.read().dropped(Reason::Error)), (2, 1));
}
