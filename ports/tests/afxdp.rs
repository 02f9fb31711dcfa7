//! AF_XDP ports on veths, each test in a network namespace of its own. Needs root.

use std::process::Command;

use ports::afxdp::{self, Mode, Options};
use ports::contract::{Far, Link, Wire, frame, in_namespace, ip, sequence, suite, veth};
use ports::{Burst, Error, Interface, Offload, Port, Reason, Time};

const MODES: [Mode; 2] = [Mode::Native, Mode::Generic];

fn mode(mode: Mode) -> Options {
    Options { mode, ..Options::default() }
}

fn open(options: &Options) -> Port {
    afxdp::open("veth0", options).expect("open veth0")
}

/// What `ip -d link` says of an interface.
fn link_says(name: &str) -> String {
    let output = Command::new("ip").args(["-d", "link", "show", name]).output().expect("run ip (iproute2)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ethtool(arguments: &str) {
    let status = Command::new("ethtool").args(arguments.split_whitespace()).status().expect("run ethtool");
    assert!(status.success(), "ethtool {arguments}");
}

/// Polls until `done`, for up to five seconds.
fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let start = Time::now();
    while !done() {
        assert!(Time::now().since(start).as_secs() < 5, "{otherwise}");
        std::thread::yield_now();
    }
}

#[test]
fn the_contract_holds() {
    for mode in MODES {
        in_namespace(move || {
            veth("veth0", "veth1");
            suite(&mut || {
                let port = open(&Options { mode, ..Options::default() });
                (port, Box::new(Wire::open("veth1", false)) as Box<dyn Far>)
            });
        });
    }
}
