//! Objective: bad input gets a clear error that names the thing and the way out, and nothing half-made.

use std::time::Duration;

use crate::bed::{Bed, privileged, text};

#[test]
fn errors_name_the_thing_and_the_way_out() {
    if !privileged() {
        return;
    }
    let bed = Bed::new();
    let far = bed.namespace("c1");
    bed.veth("veth0", &far, "eth0", "10.0.0.1/24");
    bed.switch.ok("ip", &["link", "set", "veth0", "down"]);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["-a", "vale0:eth9"], &["failed to attach vale0:eth9", "no such interface", "ip link"]),
        (&["-a", "vale0:veth0"], &["veth0", "down", "ip link set veth0 up"]),
        (&["-a", "veth0"], &["veth0", "vale"]),
        (&["-a", "vale0:veth0@floppy"], &["floppy", "afxdp", "tap", "packet"]),
        (&["-d", "vale0:nobody"], &["failed to detach vale0:nobody"]),
        (&["-l", "vale0:nobody"], &["nobody"]),
        (&["-p", "vale0:veth0"], &["not available"]),
        (&["-m", "1"], &["not available"]),
        (&["stats", "vale7"], &["vale7"]),
    ];
    for (args, words) in cases {
        let output = bed.try_ctl(args);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} should say {word:?}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(bed.ctl(&[]).trim(), "", "nothing half-attached stays");
}

#[test]
fn a_port_is_taken_once() {
    if !privileged() {
        return;
    }
    let bed = Bed::new();
    bed.ctl(&["-a", "vale0:tap5@tap"]);
    for name in ["vale0:tap5@tap", "vale1:tap5@tap"] {
        let output = bed.try_ctl(&["-a", name]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("tap5"), "{}", text(&output));
    }
    assert_eq!(bed.ctl(&[]).trim(), "vale0:tap5 bridge_idx 0 port_idx 0");
}

/// netmap's lines, which scripts parse.
#[test]
fn lists_as_netmap_does() {
    if !privileged() {
        return;
    }
    let bed = Bed::new();
    bed.ctl(&["-n", "vi0"]);
    bed.ctl(&["-a", "vale0:vi0"]);
    bed.ctl(&["-a", "vale0:tap5@tap"]);
    assert_eq!(bed.ctl(&[]), "vale0:vi0 bridge_idx 0 port_idx 0\nvale0:tap5 bridge_idx 0 port_idx 1\n");
    assert_eq!(bed.ctl(&["-l", "vale0:tap5"]), "bridge_idx: 0\nport_idx:   1\n");
    let busy = bed.try_ctl(&["-r", "vi0"]);
    assert!(text(&busy).contains("failed to remove vi0"), "{}", text(&busy));
    bed.ctl(&["-d", "vale0:vi0"]);
    bed.ctl(&["-r", "vi0"]);
    assert!(!bed.switch.ok("ip", &["link"]).contains("vi0"));
}

#[test]
fn flags_out_of_range_are_named() {
    if !privileged() {
        return;
    }
    let bed = Bed::new();
    for args in [
        &["-f", "tx", "-l", "10"][..],
        &["-f", "tx", "-a", "4096"],
        &["-f", "sideways"],
        &["-f", "tx", "-R", "-5"],
    ] {
        let args = [&["-i", "vale0:1"], args].concat();
        let output = bed.pkt_gen(&args).wait(Duration::from_secs(5));
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{}", text(&output));
    }
    for args in
        [&["--ip", "10.0.0.300/24", "-s"][..], &["--ip", "10.0.0.2/24", "-c", "10.0.0.1", "-P", "129"]]
    {
        let args = [&["--on", "vale0:ep"], args].concat();
        let output = bed.endpoint(&args).wait(Duration::from_secs(5));
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
    }
    assert_eq!(bed.ctl(&[]).trim(), "");
}
