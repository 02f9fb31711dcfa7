//! Objective: what the scripts for guests make goes when it is to go, and nothing else goes with it.

use std::path::{Path, PathBuf};

use crate::bed::{Bed, Namespace, text};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

/// Runs one in a namespace: whether it succeeds, and what it says.
fn said(there: &Namespace, name: &str) -> (bool, String) {
    let output = there.command(script(name), &[]).output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn a_bridge_of_somebody_elses_stays() {
    let Some(bed) = Bed::new() else { return };
    let there = bed.namespace("taps");
    there.ok("ip", &["link", "add", "br0", "type", "bridge"]);
    let (ok, why) = said(&there, "prep-taps");
    assert!(!ok && why.contains("br0: there already") && !why.contains("unprep"), "{why}");
    let (ok, why) = said(&there, "unprep-taps");
    assert!(!ok && why.contains("br0: not of scripts/prep-taps"), "{why}");
    there.ok("ip", &["link", "del", "br0"]); // it is there
    assert!(said(&there, "prep-taps").0);
    let (ok, why) = said(&there, "prep-taps");
    assert!(!ok && why.contains("(try: scripts/unprep-taps)"), "{why}");
    assert_eq!(said(&there, "unprep-taps"), (true, String::new()));
    assert_eq!(there.ok("ip", &["-br", "link"]).lines().count(), 1, "loopback alone");
}
