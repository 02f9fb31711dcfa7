//! What a guest may not do, and what becomes of its port.

use ports::contract::Far;
use ports::vhost_user::driver::{Driver, Style};
use ports::{Offload, Peer, Reason};
use proptest::prelude::*;

use crate::sockets::{Place, eventually, poll, send};
use crate::{GUEST, RX, TX, open, options, peer};

const NEXT: u64 = 1 << 32;
const WRITE: u64 = 2 << 32;
const INDIRECT: u64 = 4 << 32;

/// A guest that does this to that ring loses its port, and nothing else happens. What cannot be read counts as a frame.
fn is_fatal(name: &str, style: Style, ring: usize, attack: impl Fn(&mut Driver)) {
    let place = Place::new(name);
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, style);
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("nothing comes", || poll(&mut port) > 0);
    attack(&mut driver);
    eventually(name, || {
        poll(&mut port);
        send(&mut port, 1);
        driver.is_alone()
    });
    assert_eq!((poll(&mut port), send(&mut port, 3)), (0, 0));
    let counts = port.counters.read();
    let unread = u64::from(ring == TX);
    assert_eq!((counts.rx_frames, counts.dropped(Reason::Error)), (unread, unread), "{name}");
    eventually("the socket stays", || !options(&place).path.exists());
    let Peer::Ended(why) = peer(&port) else { panic!("{name}: {}", peer(&port)) };
    assert!(why.starts_with("the guest broke the rules: "), "{name}: {why}");
}

#[test]
fn a_guest_that_breaks_the_rules_loses_its_port() {
    is_fatal("index", Style::PLAIN, TX, |d| d.claim(TX, 5000));
    is_fatal("head", Style::PLAIN, TX, |d| d.make_available(TX, 300));
    for (name, words) in [
        ("address", [GUEST + (1 << 30), 100]),
        ("wrap", [u64::MAX - 10, 100]),
        ("length", [GUEST, u64::from(u32::MAX)]),
        ("direction", [GUEST, 100 | WRITE]),
        ("short", [GUEST, 11]),
        ("nothing", [GUEST, NEXT]),
        ("endless", [GUEST, 1 | NEXT]),
        ("nested", [GUEST, 16 | NEXT | INDIRECT]),
        ("ragged", [GUEST, 17 | INDIRECT]),
        ("empty", [GUEST, INDIRECT]),
        ("elsewhere", [GUEST + (1 << 30), 32 | INDIRECT]),
    ] {
        is_fatal(name, Style::PLAIN, TX, |d| {
            (0..256).for_each(|slot| d.describe_raw(TX, slot, words));
            d.make_available(TX, 0);
        });
    }
    is_fatal("not agreed", Style::OLD, TX, |d| {
        d.describe_raw(TX, 0, [GUEST, 16 | INDIRECT]);
        d.make_available(TX, 0);
    });
    is_fatal("receive", Style::PLAIN, RX, |d| {
        (0..256).for_each(|slot| d.describe_raw(RX, slot, [GUEST + (1 << 30), 2048 | WRITE]));
    });
    is_fatal("read-only", Style::PLAIN, RX, |d| {
        (0..256).for_each(|slot| d.describe_raw(RX, slot, [GUEST, 2048]));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a guest writes into its rings: no crash, and the port ends as it should.
    #[test]
    fn no_descriptors_do_harm(
        words in prop::collection::vec((0..1u64 << 22, any::<u32>(), 0..8u64, prop::bool::weighted(0.9)), 256),
        heads in prop::collection::vec((0..2usize, 0..260u16), 0..40),
        claim in prop::option::of(any::<u16>()),
    ) {
        let place = Place::new("any");
        let mut port = open(&options(&place));
        let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
        for (slot, (address, len, flags, short)) in (0..).zip(words) {
            let len = u64::from(if short { len % 4096 } else { len });
            driver.describe_raw(TX, slot, [GUEST + address, len | flags << 32]);
        }
        heads.iter().for_each(|(ring, head)| driver.make_available(*ring, *head));
        claim.iter().for_each(|index| driver.claim(TX, *index));
        for _ in 0..4 {
            poll(&mut port);
            send(&mut port, 20);
        }
    }
}

#[test]
fn an_index_that_goes_backwards_is_fatal() {
    let place = Place::new("backwards");
    let mut port = open(&options(&place));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    eventually("nothing is sent", || send(&mut port, 10) == 10);
    driver.claim(RX, 3);
    eventually("the port goes on", || {
        send(&mut port, 10);
        driver.is_alone()
    });
}
