//! TAP ports against the kernel, in a network namespace of the test's own.

use ports::contract::{Far, Wire, in_namespace, suite};
use ports::offload::Offloads;
use ports::tap;

#[test]
fn a_tap_keeps_the_contract() {
    in_namespace(|| {
        suite(&mut || {
            let port = tap::open("tap0", tap::Options::default()).unwrap();
            (port, Box::new(Wire::open("tap0", true)) as Box<dyn Far>)
        });
    });
}

#[test]
fn a_tap_without_offloads_keeps_the_contract() {
    in_namespace(|| {
        suite(&mut || {
            let port = tap::open("tap0", tap::Options { offloads: Offloads::empty() }).unwrap();
            (port, Box::new(Wire::open("tap0", false)) as Box<dyn Far>)
        });
    });
}
