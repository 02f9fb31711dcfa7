//! Raw-socket ports against the kernel, in a network namespace of the test's own.

use ports::contract::{Far, Wire, in_namespace, suite, veth};
use ports::packet;

#[test]
fn a_raw_socket_keeps_the_contract() {
    in_namespace(|| {
        veth("near", "far");
        suite(&mut || {
            let port = packet::open("near", packet::Options::default()).unwrap();
            (port, Box::new(Wire::open("far", true)) as Box<dyn Far>)
        });
    });
}
