//! Objective: several threads share an interface, each with a queue of it, and a search works between interfaces.

use std::time::Duration;

use crate::bed::{Bed, Namespace, text, until};

/// A veth pair in one namespace, with so many queues each way.
fn veth(at: &Namespace, queues: &str) {
    let ours = [
        "link",
        "add",
        "veth0",
        "numrxqueues",
        queues,
        "numtxqueues",
        queues,
        "type",
        "veth",
        "peer",
        "name",
    ];
    at.ok("ip", &[&ours[..], &["veth1", "numrxqueues", queues, "numtxqueues", queues]].concat());
    for end in ["veth0", "veth1"] {
        at.ok("ip", &["link", "set", end, "up"]);
    }
}

#[test]
fn two_threads_send_and_receive_by_two_queues() {
    let Some(bed) = Bed::new() else { return };
    veth(&bed.switch, "2");
    let receiver = bed.pkt_gen(&["-i", "veth1", "-f", "rx", "-p", "2", "-W"]);
    until("the receiver holds its interface", Duration::from_secs(20), || {
        bed.switch.ok("ip", &["-d", "link", "show", "veth1"]).contains("prog/xdp")
    });
    let args = ["-i", "veth0", "-f", "tx", "-p", "2", "-a", "0", "-n", "3001", "-R", "4000", "-w", "0"];
    let sender = bed.pkt_gen(&[&args[..], &["-d", "10.1.0.1:1-10.1.0.1:99"]].concat());
    let (sender, receiver) = (sender.wait(Duration::from_secs(20)), receiver.wait(Duration::from_secs(20)));
    let (sent, received) = (text(&sender), text(&receiver));
    assert!(
        sent.contains("Sending on veth0: 2 queues, 2 threads") && sent.contains("Sent 3001 packets"),
        "{sent}"
    );
    assert!(received.contains("Receiving from veth1: 2 queues, 2 threads"), "{received}");
    assert!(received.contains("\nReceived ") && !received.contains("Received nothing"), "{received}");
    let many = text(&bed.pkt_gen(&["-i", "veth0", "-p", "3"]).wait(Duration::from_secs(20)));
    assert_eq!(many, "pkt-gen: veth0: a queue for each of 3 threads: it has 2 (try: -p 2)\n");
}

#[test]
fn a_search_runs_between_two_interfaces() {
    let Some(bed) = Bed::new() else { return };
    veth(&bed.switch, "1");
    let args = ["-f", "throughput", "-i", "veth0", "--to", "veth1", "-l", "60", "-w", "0", "--trial", "0.1"];
    let search = bed.pkt_gen(&[&args[..], &["--loss", "50"]].concat());
    let said = text(&search.wait(Duration::from_secs(60)));
    let row = said.lines().find(|line| line.trim_start().starts_with("64 ") && !line.contains("bytes"));
    let pps = row.and_then(|row| row.split_whitespace().nth(1)?.parse::<u64>().ok());
    assert!(pps.is_some_and(|pps| pps > 0), "{said}");
}
