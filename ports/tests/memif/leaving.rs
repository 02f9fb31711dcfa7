//! What a port says when it goes, and leaves behind: nothing.

use ports::Peer;
use ports::contract::frame;
use ports::memif::message::{Message, text};
use ports::memif::stranger::Stranger;
use ports::memif::{self, Options};

use crate::sockets::{Place, alone, eventually, held, poll};
use crate::{client, open, path, peer, server, until_connected};

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("socket");
    let port = open(&server(&place));
    let error = memif::open("m2", server(&place)).err().unwrap().to_string();
    assert!(error.contains("somebody listens"), "{error}");
    drop(port);
    eventually("the socket stays", || !path(&place).exists());
    let error = memif::open("m2", Options { queues: 9, ..server(&place) }).err().unwrap().to_string();
    assert!(error.contains("queues=9: 1 to 8"), "{error}");
    let secret = "x".repeat(24);
    let error = memif::open("m2", Options { secret, ..server(&place) }).err().unwrap().to_string();
    assert!(error.contains("24 bytes, of at most 23"), "{error}");
    assert!(!path(&place).exists());
}

#[test]
fn the_other_side_hears_of_a_port_that_is_detached() {
    let place = Place::new("detached");
    let port = open(&server(&place));
    let stranger = Stranger::connect(&path(&place));
    stranger.introduce();
    drop(port);
    let Some((Message::Disconnect { reason, .. }, None)) = stranger.hear() else { panic!("not told") };
    assert_eq!(text(&reason), "the port is detached");
    assert!(stranger.hear().is_none());
}

#[test]
fn a_port_tells_who_is_there() {
    let place = Place::new("presence");
    let port = open(&server(&place));
    assert_eq!(peer(&port), Peer::Nobody);
    let other = open(&client(&place));
    let said = |port| peer(port).to_string();
    let here = "connected: 2 rings (1 in, 1 out), MTU 2030, no offloads";
    eventually("nobody comes", || said(&port) == here && said(&other) == here);
    drop(other);
    eventually("somebody stays", || peer(&port) == Peer::Nobody);
}

#[test]
fn a_thousand_programs_leave_nothing_behind() {
    if !alone("leaving::a_thousand_programs_leave_nothing_behind") {
        return;
    }
    let place = Place::new("thousand");
    let mut port = open(&server(&place));
    let mut cycle = |n: u32| {
        let stranger = Stranger::connect(&path(&place));
        stranger.introduce();
        stranger.send(&frame(n, 60));
        eventually("nothing comes", || poll(&mut port) > 0);
        if n.is_multiple_of(2) {
            stranger.say(&Message::disconnect("enough"), &[]);
        }
    };
    cycle(0);
    eventually("the first stays", || held().memories == 0);
    let before = held();
    (1..1000).for_each(&mut cycle);
    eventually("something stays behind", || held() == before);
    // As client, with memory of its own.
    for _ in 0..100 {
        let client = open(&client(&place));
        until_connected(&client);
    }
    eventually("a client leaves something behind", || held() == before);
}
