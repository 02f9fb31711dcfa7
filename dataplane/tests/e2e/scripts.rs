//! Objective: what the scripts for guests make goes when it is to go, and nothing else goes with it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::bed::{Bed, Namespace, Running, text, until};

/// Longest that a script may take: a guest is emulated on a machine whose cores may be taken.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// `launch-qemu` with the programs that this test was built with, instead of having them built.
fn launch(bed: &Bed, args: &[&str]) -> Command {
    let home = bed.path("cargo");
    let (bin, built) = (home.join("bin"), bed.path("built"));
    if !home.exists() {
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&built).unwrap();
        let answer = format!("#!/bin/sh\necho '\"target_directory\":\"{}\"'\n", built.display());
        std::fs::write(bin.join("cargo"), answer).unwrap();
        std::fs::set_permissions(bin.join("cargo"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink(Path::new(env!("CARGO_BIN_EXE_vale-ctl")).parent().unwrap(), built.join("release")).unwrap();
    }
    // Not in the bed's namespace: where there is no guest yet, one is made of packages from the network.
    let mut command = Command::new(script("launch-qemu"));
    command.arg("qemu").args(args).env("CARGO_HOME", home).env("VALE_SOCKET", bed.path("vale.sock"));
    command
}

fn refused(bed: &Bed, args: &[&str]) -> String {
    let Output { status, stderr, .. } = Running::start(&mut launch(bed, args)).wait(PATIENCE);
    assert!(!status.success(), "{args:?}");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_guest_goes_with_its_launcher_and_its_port_with_both() {
    let Some(bed) = Bed::new() else { return };
    let launcher = Running::start(&mut launch(&bed, &["--vale", "05"]));
    until("the guest is there", PATIENCE, || bed.ctl(&["ports"]).contains(" connected: "));
    assert!(refused(&bed, &["--vale", "05"]).contains("vale0:05: a guest is there already"));
    launcher.signal("-TERM");
    drop(launcher.wait(PATIENCE));
    assert_eq!(bed.ctl(&[]), "", "the port is gone");
    let socket = bed.path("vale0-05.sock");
    let guests = || Command::new("pgrep").arg("-f").arg(&socket).output().unwrap().stdout;
    until("the guest is gone", Duration::from_secs(5), || guests().is_empty());
}

#[test]
fn what_is_not_there_is_told_before_a_guest_boots() {
    let Some(bed) = Bed::new() else { return };
    let no = refused(&bed, &["--tap", "tap09"]);
    assert!(no.contains("tap09: no such interface (try: scripts/prep-taps)"), "{no}");
    for kind in ["stream", "dgram"] {
        let no = refused(&bed, &[&format!("--{kind}"), "/nowhere.sock"]);
        assert!(
            no.contains(&format!("/nowhere.sock: no such socket (try: vale-ctl -a vale0:vm3@{kind}")),
            "{no}"
        );
    }
    // By vhost-user, a guest would wait for an answer for ever, or listen nowhere.
    for (port, options) in
        [("06", "stream".to_owned()), ("07", format!("vhost-user:client,path={}", bed.path("x").display()))]
    {
        bed.ctl(&["-a", &format!("vale0:{port}@{options}")]);
        let no = refused(&bed, &["--vale", port]);
        assert!(no.contains(&format!("vale0:{port}: no port for a guest")), "{no}");
    }
    for wrong in ["10.0.0.300/24", "10.0.0.2", "guest"] {
        let no = refused(&bed, &["--netuser", "--ip", wrong]);
        assert!(no.contains(&format!("--ip {wrong}: ")) && no.contains("10.0.0.2/24"), "{no}");
    }
}

/// Somebody who looks for help is not given the whole job instead.
#[test]
fn arguments_that_mean_nothing_are_refused() {
    for name in ["guest-image", "prep-taps", "unprep-taps", "run", "test"] {
        let Output { status, stderr, .. } =
            Running::start(Command::new(script(name)).arg("--help")).wait(Duration::from_secs(5));
        assert!(!status.success() && !stderr.is_empty(), "{name}");
    }
}
