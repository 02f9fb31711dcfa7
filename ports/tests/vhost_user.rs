//! vhost-user ports against a driver in this process.

use std::path::PathBuf;

use ports::contract::{Far, suite};
use ports::vhost_user::driver::{Driver, Style};
use ports::vhost_user::{self, Options};
use ports::{Port, Time};

/// A directory for sockets, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vale-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self) -> Options {
        Options { path: self.0.join("guest.sock"), client: false, queues: 1, offloads: true }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(options: &Options) -> Port {
    vhost_user::open("vm1", options.clone()).unwrap()
}

/// Polls until `done`, for up to ten seconds.
fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let start = Time::now();
    while !done() {
        assert!(Time::now().since(start).as_secs() < 10, "{otherwise}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn the_contract_holds_for_every_style_of_driver() {
    let place = Place::new("contract");
    for style in [Style::PLAIN, Style::SCATTERED, Style::OLD] {
        suite(&mut || {
            let port = open(&place.options());
            let driver = Driver::connect(&place.options().path, style);
            (port, Box::new(driver) as Box<dyn Far>)
        });
    }
}

#[test]
fn a_socket_of_ours_goes_and_anothers_stays() {
    let place = Place::new("socket");
    let port = open(&place.options());
    let error = vhost_user::open("vm2", place.options()).err().unwrap().to_string();
    assert!(error.contains("somebody listens"), "{error}");
    drop(port);
    eventually("the socket stays", || !place.options().path.exists());
    let _port = open(&place.options());
}
