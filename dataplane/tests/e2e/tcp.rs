//! Objective: an unmodified iperf3 measures our endpoint, over every kind of port, in every direction.

use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, MOVES, Namespace, run};

const ENDPOINT: &str = "10.0.0.2";

/// Runs the stock client and gives its `-J` document.
fn iperf3(from: &Namespace, args: &[&str]) -> Value {
    let mut command = from.command("iperf3", &[&["-c", ENDPOINT, "-J", "-t", "1"], args].concat());
    serde_json::from_str(&run(&mut command)).expect("iperf3 prints JSON")
}

fn bits_per_second(document: &Value, sum: &str) -> f64 {
    assert_eq!(document.get("error"), None, "{document:#}");
    document["end"][sum]["bits_per_second"].as_f64().unwrap_or_else(|| panic!("{sum} in {document:#}"))
}

/// The four ways in which users run it, against one endpoint that is never restarted.
fn every_direction(client: &Namespace) {
    for args in [&[][..], &["-R"], &["-P", "8"], &["-P", "8", "-R"]] {
        let document = iperf3(client, args);
        assert!(bits_per_second(&document, "sum_received") > MOVES, "{args:?}: {document:#}");
    }
    let both = iperf3(client, &["--bidir"]);
    assert!(bits_per_second(&both, "sum_received") > MOVES, "{both:#}");
    assert!(bits_per_second(&both, "sum_received_bidir_reverse") > MOVES, "{both:#}");
}

/// Our client against a stock server, both directions, `-J` with the stock keys.
fn our_client(bed: &Bed, at: &Namespace, server: &str) {
    let _server = at.iperf3_server();
    for args in [&[][..], &["-R"], &["--bidir"], &["-P", "4"]] {
        let all =
            [&["--on", "vale0:cl", "--ip", "10.0.0.9/24", "-c", server, "-t", "1", "-J"], args].concat();
        let output = bed.endpoint(&all).wait(Duration::from_secs(30));
        assert!(output.status.success(), "{args:?}: {}", crate::bed::text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).expect("our -J is JSON");
        assert!(bits_per_second(&document, "sum_received") > MOVES, "{args:?}: {document:#}");
    }
}

/// A stock client against our endpoint, then our client against a stock server.
fn both_roles(bed: &Bed, client: &Namespace) {
    client.ping(ENDPOINT, 5);
    every_direction(client);
    our_client(bed, client, "10.0.0.1");
}

#[test]
fn over_a_tap() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.tap("tap7", &client, "10.0.0.1/24");
    both_roles(&bed, &client);
}

#[test]
fn over_af_xdp() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    client.ok("ethtool", &["-K", "eth0", "tx", "off"]);
    bed.ctl(&["-a", "vale0:veth0"]);
    both_roles(&bed, &client);
}

#[test]
fn over_a_packet_socket() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    bed.veth("veth1", &client, "eth0", "10.0.0.1/24");
    bed.ctl(&["-a", "vale0:veth1@packet"]);
    both_roles(&bed, &client);
}

#[test]
fn straight_on_an_interface_without_a_switch() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    bed.veth("veth0", &client, "eth0", "10.0.0.1/24");
    client.ok("ethtool", &["-K", "eth0", "tx", "off"]);
    let _server = bed.endpoint(&["--on", "veth0", "--ip", "10.0.0.2/24", "-s"]);
    client.reaches(ENDPOINT);
    client.ping(ENDPOINT, 3);
    every_direction(&client);
}

/// Between two of our own endpoints, on the switch alone.
#[test]
fn between_two_endpoints() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    for args in [&[][..], &["-R"], &["-P", "128"], &["-n", "100M"], &["-k", "1000"], &["-O", "1"]] {
        let all =
            [&["--on", "vale0:ep2", "--ip", "10.0.0.3/24", "-c", ENDPOINT, "-t", "1", "-J"], args].concat();
        let all: Vec<_> = if args.iter().any(|a| ["-n", "-k"].contains(a)) {
            all.into_iter().filter(|a| !["-t", "1"].contains(a)).collect()
        } else {
            all
        };
        let output = bed.endpoint(&all).wait(Duration::from_secs(30));
        assert!(output.status.success(), "{args:?}: {}", crate::bed::text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).expect("our -J is JSON");
        assert!(bits_per_second(&document, "sum_received") > MOVES, "{args:?}: {document:#}");
    }
}

/// What the stock server cannot do: several clients at once.
#[test]
fn several_stock_clients_at_once() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.2/24", &[]);
    let clients: Vec<_> = (1..=3)
        .map(|i| {
            let ns = bed.namespace(&format!("c{i}"));
            bed.tap(&format!("tap{i}"), &ns, &format!("10.0.0.{}/24", 10 + i));
            ns
        })
        .collect();
    let running: Vec<_> = clients
        .iter()
        .map(|ns| crate::bed::Running::start(&mut ns.command("iperf3", &["-c", ENDPOINT, "-t", "2", "-J"])))
        .collect();
    for client in running {
        let output = client.wait(Duration::from_secs(30));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(bits_per_second(&document, "sum_received") > MOVES, "{document:#}");
    }
}

/// A paced stream keeps its rate, sent from the clock. A machine that is busy with other things may take the core
/// away for so long that nobody could keep it; not three times in a row, and never is it exceeded.
#[test]
fn a_paced_stream_keeps_its_rate() {
    let Some(bed) = Bed::new() else { return };
    let client = bed.namespace("c1");
    bed.tap("tap7", &client, "10.0.0.1/24");
    let _server = client.iperf3_server();
    let args = ["--on", "vale0:cl", "--ip", "10.0.0.9/24", "-c", "10.0.0.1", "-t", "2", "-b", "100M", "-J"];
    let run = || {
        let output = bed.endpoint(&args).wait(Duration::from_secs(30));
        assert!(output.status.success(), "{}", crate::bed::text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).expect("our -J is JSON");
        let sent = bits_per_second(&document, "sum_sent"); // by the clock that paces
        assert!(sent < 1.03e8, "{sent}: {document:#}");
        let rate = bits_per_second(&document, "sum_received");
        eprintln!("{rate}");
        rate > 0.97e8
    };
    assert!((0..3).any(|_| run()));
}

/// `-c` to nobody ends with an error and status 1.
#[test]
fn a_client_of_nobody_gives_up() {
    let Some(bed) = Bed::new() else { return };
    let args = ["--on", "vale0:cl", "--ip", "10.0.0.9/24", "-c", "10.0.0.77", "-t", "1"];
    let output = bed.endpoint(&args).wait(Duration::from_secs(30));
    assert_eq!(output.status.code(), Some(1), "{}", crate::bed::text(&output));
    assert!(crate::bed::text(&output).contains("10.0.0.77"), "{}", crate::bed::text(&output));
}
