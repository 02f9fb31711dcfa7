//! Objective: ports come and go under traffic; whoever is killed leaves nothing behind.

use std::time::Duration;

use crate::bed::{Bed, MOVES, Running, text, until};

/// Ports of others come and go while a stream runs, which must not notice.
#[test]
fn attach_and_detach_under_load() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.tap("tap7", &client, "10.0.0.1/24");
    client.ping("10.0.0.2", 2);
    let mut stream = Running::start(&mut client.command("iperf3", &["-c", "10.0.0.2", "-t", "4", "-J"]));
    let mut rounds = 0;
    while stream.is_running() {
        bed.ctl(&["-a", "vale0:tap8@tap"]);
        bed.ctl(&["-d", "vale0:tap8"]);
        rounds += 1;
    }
    assert!(rounds > 1, "{rounds}");
    let output = stream.wait(Duration::from_secs(20));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let received = document["end"]["sum_received"]["bits_per_second"].as_f64();
    assert!(received.is_some_and(|r| r > MOVES), "{document:#}");
    let listed = bed.ctl(&[]);
    assert!(!listed.contains("tap8"), "{listed}");
}

/// A tool that is killed takes its port with it.
#[test]
fn a_killed_tool_leaves_no_port() {
    let Some(bed) = Bed::new() else { return };
    let server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    let generator = bed.pkt_gen(&["-i", "vale0:1", "-f", "tx"]);
    until("both are listed", Duration::from_secs(20), || bed.ctl(&[]).lines().count() == 2);
    for tool in [server, generator] {
        tool.signal("-KILL");
        drop(tool.wait(Duration::from_secs(20)));
    }
    until("both are gone", Duration::from_secs(20), || bed.ctl(&[]).trim().is_empty());
}

/// A daemon that is killed leaves no XDP program, no TAP of ours, and the next start works.
#[test]
fn a_killed_daemon_leaves_nothing() {
    let Some(mut bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    client.ok("ethtool", &["-K", "eth0", "tx", "off"]);
    for round in 0..2 {
        bed.ctl(&["-a", "vale0:veth0"]);
        bed.ctl(&["-a", "vale0:tap9@tap"]);
        let server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
        client.ping("10.0.0.2", 2);
        bed.stop("-KILL");
        let tool = server.wait(Duration::from_secs(20));
        assert!(!tool.status.success(), "the tool must notice: {}", text(&tool));
        until("nothing is left", Duration::from_secs(20), || {
            let links = bed.switch.ok("ip", &["link"]);
            !links.contains("xdp") && !links.contains("tap9")
        });
        bed.start();
        assert_eq!(bed.ctl(&[]).trim(), "", "round {round}");
    }
}

/// On SIGTERM everything is detached and the summary printed.
#[test]
fn a_clean_stop_says_what_happened() {
    let Some(mut bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    bed.ctl(&["-a", "vale0:veth0"]);
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    client.ping("10.0.0.2", 3);
    let output = bed.stop("-TERM");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("vale0:veth0"), "{}", text(&output));
    assert!(!bed.switch.ok("ip", &["link"]).contains("xdp"));
    bed.start();
}

/// `-h`: the host's own address on the interface stays reachable, from the wire and from the switch.
#[test]
fn the_host_stack_stays_reachable() {
    let Some(bed) = Bed::new() else { return };
    let wire = bed.namespace("c1");
    bed.veth("veth0", &wire, "eth0", "10.0.0.1/24");
    wire.ok("ethtool", &["-K", "eth0", "tx", "off"]);
    bed.switch.ok("ip", &["addr", "add", "10.0.0.5/24", "dev", "veth0"]);
    bed.ctl(&["-h", "vale0:veth0"]);
    let listed = bed.ctl(&[]);
    assert!(listed.contains("vale0:veth0 ") && listed.contains("vale0:veth0^ "), "{listed}");
    wire.ping("10.0.0.5", 3);
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.switch.ping("10.0.0.2", 3);
    wire.ping("10.0.0.2", 3);
    bed.switch.ok("iperf3", &["-c", "10.0.0.2", "-t", "1"]);
    bed.ctl(&["-d", "vale0:veth0"]);
    wire.ping("10.0.0.5", 2);
}

/// Beside a raw socket, which sees what the host is sent, a single frame would go in circles for ever. Native XDP in copy
/// mode is as good as any.
#[test]
fn the_host_joins_beside_af_xdp_only() {
    let Some(bed) = Bed::new() else { return };
    let wire = bed.namespace("c1");
    bed.veth("veth0", &wire, "eth0", "10.0.0.1/24");
    let refused = |args: &[&str]| {
        let output = bed.try_ctl(args);
        let said = text(&output);
        assert!(
            output.status.code() == Some(1) && said.contains("the host's stack beside"),
            "{args:?}: {said}"
        );
        assert!(said.contains("(try: vale-ctl -h vale0:"), "{args:?}: {said}");
    };
    for port in ["vale0:veth0@packet", "vale0:t7@tap"] {
        refused(&["-h", port]);
        refused(&["attach", "--host", port]);
    }
    refused(&["-a", "vale0:veth0@host"]);
    assert_eq!(bed.ctl(&[]).trim(), "", "nothing half-attached stays");
    bed.ctl(&["-a", "vale0:veth0@packet"]);
    refused(&["-a", "vale0:veth0@host"]);
    bed.ctl(&["-d", "vale0:veth0"]);
    bed.ctl(&["-h", "vale0:veth0@afxdp:mode=native,zero_copy=off"]);
    bed.ctl(&["-d", "vale0:veth0^"]);
    bed.ctl(&["-a", "vale1:veth0^"]);
    bed.ctl(&["-d", "vale0:veth0"]);
    assert_eq!(bed.ctl(&[]).trim(), "", "the host's side goes with its interface, from whatever switch");
}
