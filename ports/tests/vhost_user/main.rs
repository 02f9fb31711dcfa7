//! vhost-user ports against a driver in this process.

mod frames;
mod front_ends;
mod rings;
mod rules;
#[path = "../sockets/mod.rs"]
mod sockets;

use ports::contract::{Far, suite};
use ports::vhost_user::driver::{Driver, Style};
use ports::vhost_user::{self, Options};
use ports::{Peer, Port};
use sockets::Place;

/// Ring numbers.
const RX: usize = 0;
const TX: usize = 1;
/// The first address of guest memory.
const GUEST: u64 = 0x10_0000;

fn options(place: &Place) -> Options {
    Options { path: place.path("guest.sock"), client: false, queues: 1, workers: 1, offloads: true }
}

fn open(options: &Options) -> Port {
    vhost_user::open("vm1", options.clone()).expect("open the port")
}

/// Who the port says is there.
fn peer(port: &Port) -> Peer {
    port.peer.as_ref().expect("a port with a peer").peer()
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
