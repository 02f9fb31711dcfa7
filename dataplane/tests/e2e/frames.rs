//! Objective: frames get where they should, whole, with valid checksums, and every one is accounted for.

use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, MOVES, Namespace, Running, run, text, until};

/// Two namespaces by different ports, and an endpoint: all pairs talk.
#[test]
fn all_pairs_talk() {
    let Some(bed) = Bed::new() else { return };
    let (a, b, c) = (bed.namespace("a"), bed.namespace("b"), bed.namespace("c"));
    bed.tap("tap1", &a, "10.0.0.11/24");
    bed.veth("veth1", &b, "eth0", "10.0.0.12/24");
    b.ok("ethtool", &["-K", "eth0", "tx", "off"]);
    bed.ctl(&["-a", "vale0:veth1"]);
    bed.veth("veth2", &c, "eth0", "10.0.0.13/24");
    bed.ctl(&["-a", "vale0:veth2@packet"]);
    let _endpoint = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    let everyone = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.2"];
    for from in [&a, &b, &c] {
        for to in everyone {
            from.ping(to, 3);
        }
    }
    // TCP between kernels across the switch: super-frames of one are segmented and summed for the other.
    let _server = b.iperf3_server();
    for from in [&a, &c] {
        for reverse in [&[][..], &["-R"]] {
            let args = [&["-c", "10.0.0.12", "-t", "1", "-J"], reverse].concat();
            let document: Value = serde_json::from_str(&run(&mut from.command("iperf3", &args))).unwrap();
            let rate = document["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_default();
            assert!(rate > MOVES, "{}: {document:#}", from.name());
        }
    }
    let fdb: Value = serde_json::from_str(&bed.ctl(&["fdb", "vale0", "--json"])).unwrap();
    assert!(fdb.to_string().contains("vale0:tap1") || fdb.to_string().contains("tap1"), "{fdb:#}");
}

/// Both directions of a stream, as tcpdump sees them: no checksum is wrong or left open, no frame is longer than the
/// wire takes.
fn every_checksum_is_valid(client: &Namespace, interface: &str) {
    let dump = Running::start(&mut client.command("tcpdump", &["-i", interface, "-nvv", "-c", "200", "tcp"]));
    until("tcpdump listens", Duration::from_secs(20), || {
        client.ok("cat", &["/proc/net/packet"]).lines().count() > 1 // a header, and its socket
    });
    client.ok("iperf3", &["-c", "10.0.0.2", "-n", "500K", "-R"]);
    client.ok("iperf3", &["-c", "10.0.0.2", "-n", "500K"]);
    let seen = text(&dump.wait(Duration::from_secs(20)));
    assert!(seen.matches("(correct)").count() > 100, "{seen}");
    assert_eq!(seen.matches("incorrect").count(), 0, "{seen}");
    assert!(!seen.contains("bad cksum"), "{seen}");
    let lengths = seen.split("proto TCP (6), length ").skip(1).map(|rest| rest.split(')').next().unwrap());
    assert!(lengths.map(|n| n.parse::<u32>().unwrap()).all(|n| n <= 1500), "{seen}");
}

#[test]
fn checksums_on_a_tap_without_offloads_are_valid() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.ctl(&["-a", "vale0:tap7@tap:offloads=off"]);
    bed.hand_over("tap7", &client, "10.0.0.1/24");
    client.ping("10.0.0.2", 2);
    every_checksum_is_valid(&client, "tap7");
}

#[test]
fn checksums_on_a_veth_are_valid() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    client.ok("ethtool", &["-K", "eth0", "tx", "off", "gro", "off"]);
    bed.ctl(&["-a", "vale0:veth0"]);
    client.ping("10.0.0.2", 2);
    every_checksum_is_valid(&client, "eth0");
}

/// A veth whose peer leaves checksums to be filled in: counted as what it is, with the cure.
#[test]
fn a_lazy_veth_is_named() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    bed.ctl(&["-a", "vale0:veth0"]);
    client.ping("10.0.0.2", 2);
    let _ = client.command("timeout", &["2", "iperf3", "-c", "10.0.0.2", "-t", "1"]).output();
    until("the hint shows", Duration::from_secs(20), || {
        let stats = bed.ctl(&["stats", "vale0"]);
        stats.contains("bad_checksum") && stats.contains("tx off") && stats.contains("@packet")
    });
}

/// A pinned generator and receiver, the first thing a netmap user types.
#[test]
fn pkt_gen_sends_and_receives() {
    let Some(bed) = Bed::new() else { return };
    let receiver = bed.pkt_gen(&["-i", "vale0:1", "-f", "rx"]);
    until("the receiver's port is there", Duration::from_secs(20), || bed.ctl(&[]).contains("vale0:1 "));
    let sent = bed
        .pkt_gen(&["-i", "vale0:2", "-f", "tx", "-n", "1000000", "-l", "60"])
        .wait(Duration::from_secs(30));
    assert!(sent.status.success(), "{}", text(&sent));
    assert!(text(&sent).contains("Sent 1000000 packets 60000000 bytes"), "{}", text(&sent));
    // A receiver that has no core for a tenth of a second counts as stopped: what it loses then is counted.
    let mut total = Value::Null;
    let mut drops = 0;
    until("all are accounted for", Duration::from_secs(20), || {
        let stats: Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
        total = stats["switches"][0]["total"].clone();
        drops = total["drops"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        total["rx_frames"].as_u64() == total["tx_frames"].as_u64().map(|tx| tx + drops)
    });
    assert!(total["rx_frames"] == 1_000_000 && drops < 500_000, "{total:#}");
    receiver.signal("-INT");
    let received = receiver.wait(Duration::from_secs(20));
    let all = 1_000_000 - drops;
    let said = format!("Received {all} packets {} bytes", 60 * all);
    assert!(text(&received).contains(&said), "{said}: {}", text(&received));
}

/// The generator on a TAP and on AF_XDP directly, counted by the kernel on the other side.
#[test]
fn pkt_gen_on_kernel_ports() {
    let Some(bed) = Bed::new() else { return };
    let far = bed.namespace("c1");
    bed.veth("veth0", &far, "eth0", "10.0.0.1/24");
    let args =
        ["-i", "veth0", "-f", "tx", "-n", "20000", "-R", "100000", "-w", "0", "-D", "02:00:00:00:00:01"];
    let sent = bed.pkt_gen(&args).wait(Duration::from_secs(20));
    assert!(text(&sent).contains("Sent 20000 packets"), "{}", text(&sent));
    until("they arrive", Duration::from_secs(20), || {
        let packets: u64 =
            far.ok("cat", &["/sys/class/net/eth0/statistics/rx_packets"]).trim().parse().unwrap();
        packets >= 20_000
    });
    let args = ["-i", "tap:tap3", "-f", "tx", "-n", "5000", "-w", "0"];
    let sent = bed.pkt_gen(&args).wait(Duration::from_secs(20));
    assert!(text(&sent).contains("Sent 5000 packets"), "{}", text(&sent));
}

/// Sent = delivered + dropped, by reason, as `stats` shows it.
#[test]
fn statistics_balance() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.tap("tap7", &client, "10.0.0.1/24");
    client.ok("iperf3", &["-c", "10.0.0.2", "-t", "1"]);
    client.ok("iperf3", &["-c", "10.0.0.2", "-t", "1", "-R"]);
    // The worker is in the middle of something as long as anything moves.
    until("sent = delivered + dropped", Duration::from_secs(20), || {
        let stats: Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
        let ports = stats["switches"][0]["ports"].as_array().unwrap_or_else(|| panic!("{stats:#}"));
        let sum = |key: &str| ports.iter().map(|p| p[key].as_u64().unwrap()).sum::<u64>();
        let drops: u64 = ports
            .iter()
            .flat_map(|p| p["drops"].as_object().unwrap().iter())
            .filter(|(reason, _)| *reason != "kernel" && *reason != "bad_checksum")
            .map(|(_, n)| n.as_u64().unwrap())
            .sum();
        assert!(sum("rx_frames") > 1000, "{stats:#}");
        sum("rx_frames") + sum("copies") == sum("tx_frames") + drops
    });
    drop(server);
}
