//! Front-ends that come, go, come back, or say what they should not.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use ports::contract::{Far, frame};
use ports::vhost_user::driver::{Driver, Style};
use ports::vhost_user::{self, Options};
use ports::{Burst, Frame, Offload, Peer, Port, Presence, Rx};

use crate::sockets::{Place, alone, eventually, held, poll, send, take};
use crate::{GUEST, open, options, peer};

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

#[test]
fn its_memory_is_the_guests_while_that_is_there() {
    let place = Place::new("memory");
    let port = open(&options(&place));
    let shared = || port.peer.as_ref().map(Presence::shared_bytes);
    assert_eq!((port.rings.memory_bytes, shared()), (0, Some(0)), "nobody is there");
    let driver = Driver::connect(&options(&place).path, Style::PLAIN);
    assert_eq!(shared(), Some(driver.memory_bytes()));
    drop(driver);
    eventually("it stays", || shared() == Some(0));
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

/// By request, what its descriptors should be (QEMU `docs/interop/vhost-user.rst`).
#[test]
fn descriptors_too_many_end_the_conversation() {
    let place = Place::new("surplus");
    let port = open(&options(&place));
    let file = File::open("/dev/null").unwrap();
    let region = [0, 8 * GUEST, 4096, 8 * GUEST, 0].map(u64::to_le_bytes).concat();
    let ring = |word: u64| word.to_le_bytes().to_vec();
    for (request, payload, most) in [
        (1, vec![], 0),
        (3, vec![], 0),
        (5, ring(0), 0), // of no region
        (8, ring(256 << 32), 0),
        (11, ring(0), 0),
        (12, ring(0x100), 0), // it says that none comes
        (13, ring(0x100), 0),
        (14, ring(0), 1),
        (18, ring(1 << 32), 0),
        (38, region, 1),
    ] {
        let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
        driver.say(request, &payload, &vec![file.as_fd(); most]);
        driver.stop_ring(0);
        drop(driver);
        let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
        driver.say(request, &payload, &vec![file.as_fd(); most + 1]);
        eventually("the port listens on", || driver.is_alone());
    }
    drop(port);
}

#[test]
fn a_thousand_guests_leave_nothing_behind() {
    if !alone("front_ends::a_thousand_guests_leave_nothing_behind") {
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
fn who_stops_in_the_middle_of_a_word_keeps_nobody() {
    let place = Place::new("half");
    let port = open(&options(&place));
    let mut silent = UnixStream::connect(options(&place).path).expect("connect");
    silent.write_all(&[1, 0, 0]).expect("three bytes");
    std::thread::sleep(Duration::from_millis(20)); // until it is being read
    drop(port); // has to come back
    drop(silent);
}

#[test]
fn who_never_says_a_word_keeps_nobody() {
    let place = Place::new("silent");
    let mut port = open(&options(&place));
    let mut silent = UnixStream::connect(options(&place).path).expect("connect");
    silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    assert_eq!(silent.read(&mut [0]).expect("the port hangs up"), 0);
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("the port is lost", || poll(&mut port) == 1);
}

/// A request without a payload.
fn request(number: u32) -> Vec<u8> {
    [number, 1, 0].map(u32::to_le_bytes).concat()
}

/// Connects, makes a request, and is gone.
fn say_and_go(place: &Place, number: u32) {
    let mut socket = UnixStream::connect(options(place).path).expect("connect");
    socket.write_all(&request(number)).expect("a request");
}

#[test]
fn who_is_refused_again_and_again_is_paced() {
    let place = Place::new("paced");
    let mut port = open(&options(&place));
    let start = Instant::now();
    (0..4).for_each(|_| say_and_go(&place, 99));
    let mut driver = Driver::connect(&options(&place).path, Style::PLAIN);
    assert!(start.elapsed() >= Duration::from_secs(2), "four in {:?}", start.elapsed());
    assert!(driver.send(&[7; 60], Offload::NONE));
    eventually("the port is lost", || poll(&mut port) == 1);
}

/// With a pause after each, so many would take longer than `eventually` waits.
#[test]
fn who_comes_and_goes_in_peace_is_not_kept_waiting() {
    let place = Place::new("peace");
    let _port = open(&options(&place));
    let mut gone = 0;
    eventually("guests are kept waiting", || {
        say_and_go(&place, 1); // killed before it reads the answer
        drop(Driver::connect(&options(&place).path, Style::PLAIN));
        gone += 1;
        gone == 200
    });
}

/// Listens as a QEMU with `server=on` does, on a socket that nobody else has.
fn listen(options: &Options) -> UnixListener {
    let _ = std::fs::remove_file(&options.path);
    let listener = UnixListener::bind(&options.path).expect("listen");
    listener.set_nonblocking(true).expect("no waiting");
    listener
}

/// The driver that the port comes to.
fn accept(listener: &UnixListener) -> Driver {
    let mut come = None;
    eventually("the port stays away", || {
        come = listener.accept().ok();
        come.is_some()
    });
    let (socket, _) = come.expect("the port");
    Driver::start(socket, Style::PLAIN)
}

fn frames_go_both_ways(port: &mut Port, driver: &mut Driver) {
    let (here, there) = (frame(1, 60), frame(2, 1514));
    assert!(driver.send(&here, Offload::NONE));
    let mut taken = Vec::new();
    eventually("nothing comes", || {
        taken.extend(take(port));
        !taken.is_empty()
    });
    assert_eq!(taken, [here]);
    assert_eq!(port.tx.transmit(&[Frame::new(&there)]).frames, 1);
    port.tx.flush();
    assert_eq!(driver.receive().map(|(bytes, _)| bytes), Some(there));
}

#[test]
fn a_port_goes_to_a_front_end_that_listens_and_comes_back() {
    let place = Place::new("client");
    let options = Options { client: true, ..options(&place) };
    let mut port = open(&options); // nobody listens yet
    for _ in 0..3 {
        let listener = listen(&options);
        let mut driver = accept(&listener);
        frames_go_both_ways(&mut port, &mut driver);
    } // both go, and listen again
    // The socket is the front-end's, and stays.
    drop(port);
    assert!(options.path.exists());
}

#[test]
fn a_port_tells_who_is_there() {
    let place = Place::new("presence");
    let options = Options { queues: 2, ..options(&place) };
    let port = open(&options);
    assert_eq!(peer(&port), Peer::Nobody);
    let silent = UnixStream::connect(&options.path).expect("connect");
    eventually("nobody comes", || peer(&port).to_string() == "connected: no rings yet");
    drop(silent);
    let mut driver = Driver::connect(&options.path, Style::PLAIN);
    let here = "connected: 2 of 4 rings, MTU 1500, checksums and segmentation";
    eventually("no rings", || peer(&port).to_string() == here);
    driver.say(20, &9000u64.to_le_bytes(), &[]);
    eventually("no other MTU", || peer(&port).to_string() == here.replace("1500", "9000"));
    driver.stop_ring(1);
    eventually("the ring goes on", || peer(&port).to_string().contains(" 1 of 4 rings"));
    driver.stop_ring(0);
    eventually("a ring is left", || peer(&port).to_string() == "connected: no rings yet");
    drop(driver);
    eventually("somebody stays", || peer(&port) == Peer::Nobody);
}
