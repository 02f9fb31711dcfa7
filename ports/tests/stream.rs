//! Stream ports against a peer in this process.

mod sockets;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use ports::contract::{Far, Link, STATION, frame, suite};
use ports::stream::{self, Options};
use ports::{Frame, Offload, Port, Reason};
use sockets::{Place, alone, eventually, held, poll, send};

fn options(place: &Place) -> Options {
    Options { path: place.path("guest.sock"), client: false }
}

fn open(options: &Options) -> Port {
    stream::open("vm1", options.clone()).expect("open the port")
}

/// The other side, as QEMU is it.
struct Peer {
    socket: UnixStream,
    /// What was read and not looked at.
    read: Vec<u8>,
}

impl Peer {
    fn new(socket: UnixStream) -> Self {
        socket.set_nonblocking(true).expect("not to wait");
        Self { socket, read: Vec::new() }
    }

    /// Connects, and waits until the port knows: what it sends before is lost.
    fn connect(options: &Options, port: &mut Port) -> Self {
        let mut peer = Self::new(UnixStream::connect(&options.path).expect("connect to the port"));
        peer.introduce(port);
        peer
    }

    fn introduce(&mut self, port: &mut Port) {
        assert!(self.send(&[7; 60], Offload::NONE));
        eventually("the port hears nothing", || poll(port) == 1);
    }

    /// What the port sent, read by pieces of at most `most` bytes.
    fn receive_by(&mut self, most: usize) -> Option<Vec<u8>> {
        let mut piece = vec![0; most];
        loop {
            if let Some(length) = self.read.first_chunk() {
                let end = 4 + u32::from_be_bytes(*length) as usize;
                if self.read.len() >= end {
                    return Some(self.read.drain(..end).skip(4).collect());
                }
            }
            match self.socket.read(&mut piece) {
                Ok(n @ 1..) => self.read.extend(&piece[..n]),
                Ok(_) => return None,
                Err(e) => {
                    assert!(matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset), "{e}");
                    return None;
                }
            }
        }
    }

    /// Whether the port has hung up.
    fn is_alone(&mut self) -> bool {
        match self.socket.read(&mut [0; 4096]) {
            Ok(n) => n == 0,
            Err(e) => e.kind() != ErrorKind::WouldBlock,
        }
    }
}

impl Far for Peer {
    fn send(&mut self, frame: &[u8], _: Offload) -> bool {
        let Some(length) = u32::try_from(frame.len()).ok().filter(|len| *len > 0) else { return false };
        let message = [&length.to_be_bytes(), frame].concat();
        match self.socket.write(&message) {
            Ok(n) => {
                assert_eq!(n, message.len(), "a short message is taken in one piece");
                true
            }
            Err(e) => {
                assert!(matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::BrokenPipe), "{e}");
                false
            }
        }
    }

    fn receive(&mut self) -> Option<(Vec<u8>, Offload)> {
        loop {
            let frame = self.receive_by(1 << 16)?;
            if Frame::new(&frame).stations().is_some_and(|(_, src)| src == STATION) {
                return Some((frame, Offload::NONE));
            }
        }
    }
}

#[test]
fn a_stream_port_keeps_the_contract() {
    let place = Place::new("stream-contract");
    suite(&mut || {
        let mut port = open(&options(&place));
        let peer = Peer::connect(&options(&place), &mut port);
        (port, Box::new(peer) as Box<dyn Far>)
    });
}

#[test]
fn a_port_that_connects_keeps_the_contract() {
    let place = Place::new("stream-client");
    let options = Options { client: true, ..options(&place) };
    let listener = UnixListener::bind(&options.path).expect("listen");
    suite(&mut || {
        let mut port = open(&options);
        let mut peer = Peer::new(listener.accept().expect("the port comes").0);
        peer.introduce(&mut port);
        (port, Box::new(peer) as Box<dyn Far>)
    });
    assert!(options.path.exists(), "a socket of another's goes");
}

/// Every byte by itself, with a look of the port's in between.
#[test]
fn a_frame_may_come_in_any_number_of_pieces() {
    let place = Place::new("stream-pieces");
    let mut port = open(&options(&place));
    let mut peer = Peer::connect(&options(&place), &mut port);
    let frames = [frame(1, 60), frame(2, 18), frame(3, 300)];
    let lengths = frames.iter().map(|frame| u32::try_from(frame.len()).expect("short").to_be_bytes());
    let bytes = lengths.zip(&frames).flat_map(|(length, frame)| [&length[..], frame].concat());
    let bytes: Vec<_> = bytes.collect();
    for piece in [1, 2, 3, 5, 59, 64, 65, 86, 200] {
        let mut arrived = 0;
        for part in bytes.chunks(piece) {
            peer.socket.write_all(part).expect("room");
            arrived += poll(&mut port);
        }
        eventually("frames are missing", || {
            arrived += poll(&mut port);
            arrived == frames.len()
        });
    }
}

/// The socket stops in the middle of frames where its memory is small, and others read by bytes.
#[test]
fn a_full_socket_loses_nothing() {
    let place = Place::new("stream-full");
    let mut link = {
        let mut port = open(&options(&place));
        let peer = Peer::connect(&options(&place), &mut port);
        Link::new(port, Box::new(peer))
    };
    let frames: Vec<_> = (0..3000).map(|number| frame(number, 60 + number as usize % 1400)).collect();
    let mut taken = 0;
    loop {
        let sent = link.put(&frames[taken..]).taken;
        taken += sent;
        if sent == 0 {
            break;
        }
    }
    assert!(taken < frames.len(), "a socket without end");
    for expected in &frames[..taken] {
        link.port.tx.flush();
        assert_eq!(link.arrives().0, *expected);
    }
    assert!(link.port.tx.flush());
    assert!(link.far.receive().is_none());
}

#[test]
fn a_length_that_makes_no_sense_ends_the_conversation_only() {
    let place = Place::new("stream-nonsense");
    let mut port = open(&options(&place));
    let longest = 65_535 + 18_u32;
    for (n, length) in (1..).zip([0, longest + 1, 1 << 31, u32::MAX]) {
        let mut peer = Peer::connect(&options(&place), &mut port);
        assert!(peer.send(&frame(1, 60), Offload::NONE));
        let nonsense = [&length.to_be_bytes()[..], &[7; 1000]].concat();
        peer.socket.write_all(&nonsense).expect("room");
        let mut frames = 0;
        eventually("the conversation goes on", || {
            frames += poll(&mut port);
            peer.is_alone()
        });
        let counted = port.counters.read();
        assert_eq!((frames, counted.dropped(Reason::Error), counted.rx_frames), (1, n, n));
        let why = format!("ended: the other side broke the rules: it announced a frame of {length} bytes");
        assert_eq!(who(&port), why);
    }
    let mut peer = Peer::connect(&options(&place), &mut port);
    peer.socket.set_nonblocking(false).expect("to wait");
    let writer = std::thread::spawn(move || {
        let message = [&longest.to_be_bytes()[..], &vec![7; longest as usize]].concat();
        peer.socket.write_all(&message).map(|()| peer)
    });
    eventually("the longest frame does not come", || poll(&mut port) == 1);
    writer.join().expect("the writer").expect("the port reads");
}

/// Who the port says is there.
fn who(port: &Port) -> String {
    port.peer.as_ref().expect("a port with a peer").peer().to_string()
}

#[test]
fn a_port_tells_who_is_there() {
    let place = Place::new("stream-presence");
    let mut port = open(&options(&place));
    assert_eq!(who(&port), "nobody connected");
    let peer = Peer::connect(&options(&place), &mut port);
    assert_eq!(who(&port), "connected: MTU 1500, no offloads");
    drop(peer);
    eventually("somebody stays", || {
        poll(&mut port);
        who(&port) == "nobody connected"
    });
}

/// Also in the middle of a frame.
#[test]
fn who_comes_after_a_killed_peer_finds_a_clean_port() {
    let place = Place::new("stream-killed");
    let mut port = open(&options(&place));
    let mut peer = Peer::connect(&options(&place), &mut port);
    peer.socket.write_all(&[0, 0, 0, 60, 1, 2, 3]).expect("room");
    while send(&mut port, 256) == 256 {} // until the socket is full
    drop(peer);
    eventually("the port does not notice", || {
        poll(&mut port);
        send(&mut port, 1) == 0
    });
    let mut peer = Peer::connect(&options(&place), &mut port);
    assert!(peer.send(&frame(1, 60), Offload::NONE));
    eventually("nothing comes", || poll(&mut port) == 1);
    let sent = port.tx.transmit(&[Frame::new(&frame(2, 60))]);
    assert_eq!(sent.frames, 1);
    eventually("nothing arrives", || peer.receive().is_some_and(|(bytes, _)| bytes == frame(2, 60)));
}

#[test]
fn a_frame_to_nobody_fails() {
    let place = Place::new("stream-nobody");
    let mut port = open(&options(&place));
    let sent = port.tx.transmit(&[Frame::new(&frame(1, 60))]);
    assert_eq!((sent.taken, sent.frames), (1, 0));
    port.tx.reserve(60).expect("room").fill(0);
    port.tx.commit(60, Offload::NONE);
    assert!(port.tx.flush());
    assert_eq!(port.counters.read().dropped(Reason::Error), 1);
    assert!(!port.rx.arm());
}

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("stream-socket");
    let port = open(&options(&place));
    let error = stream::open("vm2", options(&place)).err().expect("taken").to_string();
    assert!(error.contains("somebody listens"), "{error}");
    assert!(port.notes[0].contains("server=off,addr.type=unix"), "{:?}", port.notes);
    drop(port);
    assert!(!options(&place).path.exists());
    std::fs::write(options(&place).path, "a file").expect("write");
    assert!(stream::open("vm2", options(&place)).is_err());
    assert!(options(&place).path.exists());
}

#[test]
fn a_thousand_peers_leave_nothing_behind() {
    if !alone("a_thousand_peers_leave_nothing_behind") {
        return;
    }
    let place = Place::new("stream-thousand");
    let mut port = open(&options(&place));
    let before = held();
    let mut cycle = || {
        let mut peer = Peer::connect(&options(&place), &mut port);
        assert_eq!(send(&mut port, 1), 1);
        eventually("nothing arrives", || peer.receive_by(4096).is_some());
        drop(peer);
        eventually("the port does not notice", || {
            poll(&mut port);
            send(&mut port, 1) == 0
        });
    };
    (0..1000).for_each(|_| cycle());
    eventually("something stays behind", || held() == before);
}
