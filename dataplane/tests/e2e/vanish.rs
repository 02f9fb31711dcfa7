//! Objective: a port that vanishes under traffic ends its tool in one line, with totals, and not with success.

use std::time::Duration;

use crate::bed::{Bed, text, until};

/// An interface is deleted while `pkt-gen` sends or receives on it, by every way of being on an interface.
#[test]
fn a_deleted_interface_ends_pkt_gen() {
    let Some(bed) = Bed::new() else { return };
    let far = bed.namespace("far");
    for (port, interface, attached) in [
        ("veth0", "veth0", "xdp"),
        ("veth0@packet", "veth0", "promiscuity 1"),
        ("tap:tap0", "tap0", "LOWER_UP"),
    ] {
        for (function, total) in [("tx", "\nSent "), ("rx", "\nReceived ")] {
            if interface == "veth0" {
                bed.veth("veth0", &far, "eth0", "10.0.0.1/24");
            }
            let tool = bed.pkt_gen(&["-i", port, "-f", function, "-w", "0", "-R", "1000"]);
            until("the port is open", Duration::from_secs(20), || {
                let show = bed.switch.command("ip", &["-d", "-o", "link", "show", "dev", interface]).output();
                show.is_ok_and(|shown| text(&shown).contains(attached))
            });
            std::thread::sleep(Duration::from_millis(300)); // for some frames to be on their way
            bed.switch.ok("ip", &["link", "delete", interface]);
            let output = tool.wait(Duration::from_secs(20));
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{port} {function}: {said}");
            assert_eq!(said.matches("the interface is gone").count(), 1, "{port} {function}: {said}");
            assert!(said.contains(total), "{port} {function}: {said}");
        }
    }
}
