//! memif ports against each other, and against a program that lies.

mod frames;
mod introduction;
mod leaving;
mod rules;
#[path = "../sockets/mod.rs"]
mod sockets;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ports::memif::stranger::Stranger;
use ports::memif::{self, Options};
use ports::{Peer, Port};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen as listen_on,
    socket_with,
};
use sockets::{Place, eventually};

/// In the flags of a descriptor: the frame goes on in the next.
const NEXT: u16 = 1;

fn path(place: &Place) -> PathBuf {
    place.path("memif.sock")
}

fn server(place: &Place) -> Options {
    Options { path: path(place), client: false, id: 0, secret: String::new(), queues: 1 }
}

fn client(place: &Place) -> Options {
    Options { client: true, ..server(place) }
}

fn open(options: &Options) -> Port {
    memif::open("m1", options.clone()).expect("open the port")
}

/// Listens as another program does.
fn listen(place: &Place) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket");
    bind(&listener, &SocketAddrUnix::new(path(place)).expect("a path")).expect("bind");
    listen_on(&listener, 4).expect("listen");
    listener
}

/// The program that a port comes to.
fn accept(listener: &OwnedFd) -> Stranger {
    Stranger::on(accept_with(listener, SocketFlags::CLOEXEC).expect("the port comes"))
}

/// Nobody takes super-frames but who is not there.
fn is_connected(port: &Port) -> bool {
    port.tx.capabilities().offloads.is_empty()
}

/// Who the port says is there.
fn peer(port: &Port) -> Peer {
    port.peer.as_ref().expect("a port with a peer").peer()
}

/// Waits until the port has somebody at its far side.
fn until_connected(port: &Port) {
    eventually("no connection", || is_connected(port));
}
