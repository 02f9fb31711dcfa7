//! What a port leaves behind: nothing.

use std::process::Command;

use ports::Interface;
use ports::afxdp::Options;
use ports::contract::{eventually, in_namespace, veth};

use crate::{link_says, open};

#[test]
fn nothing_stays_behind() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let before = link_says("veth0");
        assert!(before.contains("promiscuity 0") && !before.contains("xdp"), "{before}");
        for _ in 0..10 {
            let port = open(&Options::default());
            let open = link_says("veth0");
            assert!(open.contains("promiscuity 1") && open.contains("prog/xdp"), "{open}");
            assert_eq!(port.mac, Some(Interface::find("veth0").unwrap().mac));
            assert_eq!(port.notes, [] as [&str; 0]);
            drop(port);
            eventually("something stays behind", || link_says("veth0") == before);
        }
    });
}

/// Plays the process that is killed in `nothing_stays_behind_a_killed_process`.
#[test]
fn hold_until_killed() {
    if std::env::var_os("AFXDP_TEST_HOLD").is_some() {
        let _port = open(&Options::default());
        std::thread::sleep(std::time::Duration::from_secs(30));
    }
}

#[test]
fn nothing_stays_behind_a_killed_process() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let before = link_says("veth0");
        let test = std::env::current_exe().unwrap();
        let mut holder = Command::new(test);
        holder.args(["--exact", "leaving::hold_until_killed"]).env("AFXDP_TEST_HOLD", "1");
        let mut holder = holder.spawn().unwrap();
        eventually("the holder does not open", || link_says("veth0").contains("prog/xdp"));
        std::thread::sleep(std::time::Duration::from_millis(50)); // between attaching and the last bind
        holder.kill().unwrap();
        holder.wait().unwrap();
        let port = open(&Options::default());
        drop(port);
        eventually("something stays behind", || link_says("veth0") == before);
    });
}
