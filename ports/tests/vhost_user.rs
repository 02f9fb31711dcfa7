//! vhost-user ports against a driver in this process.

mod sockets;

use ports::contract::{Far, suite};
use ports::vhost_user::driver::{Driver, Style};
use ports::vhost_user::{self, Options};
use ports::{Burst, Frame, Offload, Port, Reason};
use proptest::prelude::*;
use sockets::{Place, alone, eventually, held, poll, send};

fn options(place: &Place) -> Options {
    Options { path: place.path("guest.sock"), client: false, queues: 1, workers: 1, offloads: true }
}

fn open(options: &Options) -> Port {
    vhost_user::open("vm1", options.clone()).expect("open the port")
}

#[test]
fn the_contract_holds_for_every_style_of_driver() {
    let place = Place::new("contract");
    for style in [Style::PLAIN, Style::SCATTERED, Style::OLD] {
        suite(&mut || {
            let port = open(&options(&place));
            let driver = Driver::connect(&options(&place).path, style);
            (port, Box::new(driver) as Box<dyn Far>)
        });
    }
}

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("socket");
    let port = open(&options(&place));
    let error = vhost_user::open("vm2", options(&place)).err().unwrap().to_string();
    assert!(error.contains("somebody listens"), "{error}");
    drop(port);
    eventually("the socket stays", || !options(&place).path.exists());
    let _port = open(&options(&place));
}

/// Ring numbers.
const RX: usize = 0;
const TX: usize = 1;
const NEXT: u64 = 1 << 32;
const WRITE: u64 = 2 << 32;
const INDIRECT: u64 = 4 << 32;
/// The first address of guest memory.
const GUEST: u64 = 0x10_0000;

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
fn requests_that_make_no_sense_end_the_conversation_only() {
    let place = Place::new("requests");
    let mut port = open(&options(&place));
    let table = |count: u32| [count.to_le_bytes(), [0; 4]].concat();
    let region = [GUEST, 4096, 0, 0].map(u64::to_le_bytes).concat();
    for (request, payload) in [
        (2, vec![0xff; 8]),                       // features that were not offered
        (2, vec![0; 3]),                          // half a number
        (5, table(9)),                            // more regions than fit
        (5, table(2)),                            // regions that are not there
        (5, [table(1), region.clone()].concat()), // a region without its file
        (8, vec![9, 0, 0, 0, 64, 0, 0, 0]),       // no such ring
        (8, vec![0, 0, 0, 0, 65, 0, 0, 0]),       // no power of two
        (12, vec![0; 8]),                         // a kick without its descriptor
        (37, [vec![0; 8], region].concat()),      // a region without its file
        (20, 67u64.to_le_bytes().to_vec()),       // no such MTU
        (20, 65_536u64.to_le_bytes().to_vec()),   // nor this
        (6, vec![0; 16]),                         // never offered
        (99, vec![]),                             // unheard of
    ] {
        let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
        driver.say(request, &payload, &[]);
        eventually("the port listens on", || driver.is_alone());
    }
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("the port is lost", || poll(&mut port) == 1);
}

#[test]
fn a_thousand_guests_leave_nothing_behind() {
    if !alone("a_thousand_guests_leave_nothing_behind") {
        return;
    }
    let place = Place::new("thousand");
    let mut port = open(&options(&place));
    let mut cycle = |n: u32| {
        let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
        assert!(driver.send(&[7; 60], Offload::NONE));
        eventually("nothing comes", || poll(&mut port) > 0);
        if n.is_multiple_of(2) {
            assert_eq!(driver.stop_ring(1), 1, "one frame was taken");
        }
    };
    cycle(0);
    eventually("the first stays", || held().memories == 0);
    let before = held();
    (0..1000).for_each(cycle);
    eventually("something stays behind", || held() == before);
}

#[test]
fn a_port_that_went_away_goes_on_where_it_stopped() {
    let place = Place::new("again");
    let (ours, theirs) = (open(&options(&place)), Driver::connect(&options(&place).path, Style::PLAIN));
    let (mut port, mut driver) = (ours, theirs);
    assert!((0..3).all(|_| driver.send(&[7; 60], Offload::NONE)));
    let mut first = Burst::new();
    eventually("nothing comes", || {
        let mut burst = Burst::new();
        port.rx.receive(&mut burst);
        let n = burst.len();
        drop(burst);
        port.rx.release(n.min(1));
        n == 3
    });
    first.clear();
    // The port dies with two frames taken and not given back. QEMU starts its successor at the used index.
    drop(port);
    let mut port = open(&options(&place));
    driver.reconnect(&options(&place).path);
    eventually("the two do not come again", || poll(&mut port) == 2);
    assert_eq!(send(&mut port, 3), 3);
    eventually("nothing arrives", || driver.receive().is_some());
    // DPDK's driver says another index, which is where it once began.
    drop(port);
    let mut port = open(&options(&place));
    driver.reconnect(&options(&place).path);
    (0..2).for_each(|ring| driver.start_ring(ring, 0));
    driver.confirm();
    assert!((0..4).all(|_| driver.send(&[7; 60], Offload::NONE)));
    eventually("the four do not come", || poll(&mut port) == 4);
    assert_eq!(send(&mut port, 3), 3);
    eventually("nothing arrives after that", || driver.receive().is_some());
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

#[test]
fn who_stops_in_the_middle_of_a_word_keeps_nobody() {
    use std::io::Write;
    let place = Place::new("half");
    let port = open(&options(&place));
    let mut silent = std::os::unix::net::UnixStream::connect(options(&place).path).expect("connect");
    silent.write_all(&[1, 0, 0]).expect("three bytes");
    std::thread::sleep(std::time::Duration::from_millis(20)); // until it is being read
    drop(port); // has to come back
    drop(silent);
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
