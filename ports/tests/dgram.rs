//! Datagram ports against a peer in this process.

mod sockets;

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use ports::contract::{Far, STATION, frame, suite};
use ports::dgram::{self, Options};
use ports::{Frame, Offload, Port, Reason};
use sockets::{Place, alone, eventually, held, poll, send};

fn options(place: &Place) -> Options {
    Options { path: place.path("guest.sock"), peer: place.path("guest.sock.q") }
}

fn open(options: &Options) -> Port {
    dgram::open("vm1", options).expect("open the port")
}

/// The other side, as QEMU is it. Its socket goes with it.
struct Peer {
    socket: UnixDatagram,
    own: PathBuf,
    port: PathBuf,
}

impl Peer {
    fn bind(options: &Options) -> Self {
        let _ = std::fs::remove_file(&options.peer);
        let socket = UnixDatagram::bind(&options.peer).expect("an address of its own");
        socket.set_nonblocking(true).expect("not to wait");
        Self { socket, own: options.peer.clone(), port: options.path.clone() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
    }
}

impl Far for Peer {
    fn send(&mut self, frame: &[u8], _: Offload) -> bool {
        self.socket.send_to(frame, &self.port).is_ok()
    }

    /// As the kernel has it (`net.unix.max_dgram_qlen`).
    fn queue(&self) -> usize {
        10
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = match self.socket.recv(&mut bytes) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(e) => panic!("{e}"),
            };
            if Frame::new(&bytes[..n]).stations().is_some_and(|(_, src)| src == STATION) {
                bytes.truncate(n);
                return Some((bytes, Offload::NONE));
            }
        }
    }
}

#[test]
fn a_datagram_port_keeps_the_contract() {
    let place = Place::new("dgram-contract");
    suite(&mut || {
        let port = open(&options(&place));
        (port, Box::new(Peer::bind(&options(&place))) as Box<dyn Far>)
    });
}

#[test]
fn a_peer_may_go_and_another_come() {
    let place = Place::new("dgram-again");
    let mut port = open(&options(&place));
    let nobody = |port: &mut Port| {
        let sent = port.tx.transmit(&[Frame::new(&frame(1, 60))]);
        assert_eq!((sent.taken, sent.frames), (1, 0));
    };
    nobody(&mut port);
    for _ in 0..3 {
        let mut peer = Peer::bind(&options(&place));
        assert!(peer.send(&frame(1, 60), Offload::NONE)); // before it hears of us
        assert_eq!(poll(&mut port), 1);
        assert_eq!(send(&mut port, 1), 1);
        drop(peer);
        nobody(&mut port);
    }
    port.tx.reserve(60).expect("room").fill(0);
    port.tx.commit(60, Offload::NONE);
    assert_eq!(port.counters.read().dropped(Reason::Error), 1);
}

#[test]
fn a_peer_that_never_reads_is_full_at_once() {
    let place = Place::new("dgram-full");
    let mut port = open(&options(&place));
    let mut peer = Peer::bind(&options(&place));
    let bytes = frame(1, 60);
    let many = vec![Frame::new(&bytes); 5000];
    let sent = port.tx.transmit(&many);
    assert!(sent.taken < many.len() && sent.frames == sent.taken as u64, "{sent:?}");
    let taken = sent.taken;
    assert_eq!(port.tx.transmit(&many).taken, 0);
    for _ in 0..taken {
        assert!(peer.receive().is_some());
    }
    assert!(peer.receive().is_none());
    assert!(port.tx.transmit(&many).taken > 0);
}

#[test]
fn a_datagram_too_long_is_counted() {
    let place = Place::new("dgram-long");
    let mut port = open(&options(&place));
    let mut peer = Peer::bind(&options(&place));
    assert!(peer.send(&vec![7; 65_535 + 18], Offload::NONE));
    assert_eq!(poll(&mut port), 1);
    assert!(peer.send(&vec![7; 65_535 + 19], Offload::NONE));
    assert!(peer.send(&vec![7; 100_000], Offload::NONE));
    assert_eq!(poll(&mut port), 0);
    let counted = port.counters.read();
    assert_eq!((counted.dropped(Reason::Oversize), counted.rx_frames), (2, 2));
}

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("dgram-socket");
    let port = open(&options(&place));
    let error = dgram::open("vm2", &options(&place)).err().expect("taken").to_string();
    assert!(error.contains("somebody listens"), "{error}");
    assert!(port.notes[0].contains("guest.sock.q,remote"), "{:?}", port.notes);
    let error = dgram::open("vm2", &Options { peer: "x".repeat(200).into(), path: place.path("other") });
    assert!(error.err().expect("too long").to_string().contains("peer=x"));
    drop(port);
    assert!(!options(&place).path.exists());
    drop(open(&options(&place)));
}

#[test]
fn a_thousand_ports_leave_nothing_behind() {
    if !alone("a_thousand_ports_leave_nothing_behind") {
        return;
    }
    let place = Place::new("dgram-thousand");
    let cycle = || {
        let mut port = open(&options(&place));
        let mut peer = Peer::bind(&options(&place));
        assert!(peer.send(&frame(1, 60), Offload::NONE));
        assert_eq!((poll(&mut port), send(&mut port, 1)), (1, 1));
        drop(port);
    };
    cycle();
    let before = held();
    (0..1000).for_each(|_| cycle());
    eventually("something stays behind", || held() == before);
    assert!(!options(&place).path.exists());
}
