//! TAPs, persistent and not, and interfaces that vanish.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::bed::{Bed, Namespace};
use crate::common::{signal_to, text, wait};

const DONE: (bool, String) = (true, String::new());

#[test]
fn persistent_ones_stay_when_they_are_detached() {
    let Some(bed) = Bed::new("per") else { return };
    let rings = "tx_slots:   1\nrx_slots:   256\ntx_rings:   1\nrx_ring:    1\nmem_id:     1\n";
    assert_eq!(bed.ctl(&["-v", "-n", "per0"]), (true, rings.to_owned()));
    assert!(bed.is_there("per0"));
    let exists = "failed to create per0: exists already (try: another name, or ip link)\n";
    assert_eq!(bed.ctl(&["-n", "per0"]), (false, exists.to_owned()));
    for _ in 0..3 {
        assert_eq!(bed.ctl(&["-a", "vale0:per0"]), DONE);
        let busy = "failed to remove per0: busy: attached as vale0:per0 (try: vale-ctl -d vale0:per0)\n";
        assert_eq!(bed.ctl(&["-r", "per0"]), (false, busy.to_owned()));
        assert_eq!(bed.ctl(&["-d", "vale0:per0"]), DONE);
        assert!(bed.is_there("per0"), "it is persistent");
    }
    assert_eq!(bed.ctl(&["-a", "vale0:per0@tap"]), DONE);
    for other in ["vale1:per0@tap", "vale1:per0@packet", "vale1:per0"] {
        let (ok, said) = bed.ctl(&["-a", other]);
        assert!(!ok && said.contains("busy: attached as vale0:per0 (try: vale-ctl -d vale0:per0)"), "{said}");
    }
    bed.only_frames_wake();
    assert_eq!(bed.ctl(&["-d", "vale0:per0"]), DONE);
    assert_eq!(bed.ctl(&["-v", "-r", "per0"]), DONE);
    assert!(!bed.is_there("per0"));
}

#[test]
fn others_go_with_their_port_and_idle_ones_wake_nobody() {
    let Some(mut bed) = Bed::new("tap") else { return };
    for tap in ["tap1", "tap2", "tap3"] {
        assert_eq!(bed.ctl(&["-a", &format!("vale0:{tap}@tap")]), DONE);
        assert!(bed.is_there(tap));
    }
    bed.only_frames_wake();
    let stats = bed.ctl(&["stats", "vale0"]).1;
    assert!(stats.contains("balance 0"), "{stats}");
    assert_eq!(bed.ctl(&["-d", "vale0:tap1"]), DONE);
    assert!(!bed.is_there("tap1"));
    bed.valed.kill().unwrap();
    bed.valed.wait().unwrap();
    wait("the kernel removes the TAPs of a killed valed", || !bed.is_there("tap2"));
}

/// What it counted before stays with the switch that it was on, as of everybody who left.
#[test]
fn a_persistent_one_counts_each_time_anew() {
    let Some(bed) = Bed::new("anew") else { return };
    assert_eq!(bed.ctl(&["-n", "pp"]), DONE);
    assert_eq!(bed.ctl(&["-a", "vale0:other@null"]), DONE);
    assert_eq!(bed.ctl(&["-a", "vale0:pp"]), DONE);
    let sent = bed.run(env!("CARGO_BIN_EXE_pkt-gen"), &["-i", "vale0:1", "-f", "tx", "-n", "50"]);
    assert!(sent.status.success());
    let told = |of: &str| serde_json::from_str::<Value>(&bed.ctl(&["stats", of, "--json"]).1).unwrap();
    let out = |of: &str| told(of)["switches"][0]["ports"][0]["tx_frames"].as_u64();
    let before = (out("vale0:pp"), bed.frames());
    assert!(before.0 >= Some(50), "{before:?}");
    for switch in ["vale0", "vale1"] {
        assert_eq!(bed.ctl(&["-d", "vale0:pp"]), DONE);
        assert_eq!(bed.ctl(&["-a", &format!("{switch}:pp")]), DONE);
        assert!(out(&format!("{switch}:pp")) < Some(20), "{:#}", told(switch));
        assert!(bed.frames() < before.1 + 20, "{:#}", told("vale0"));
        assert_eq!(told(switch)["switches"][0]["balance"], 0, "{:#}", told(switch));
    }
}

/// What is left in the port when the run ends has not been sent, and neither has what the kernel refused.
#[test]
fn frames_that_an_interface_keeps_are_told_of() {
    let Some(bed) = Bed::new("down") else { return };
    bed.ip("link add v0 type veth peer name v1");
    bed.ip("link set v1 up");
    for port in ["v0", "v0@packet"] {
        bed.ip("link set v0 up");
        let before = bed.arrived("v1");
        let tool = bed.start(env!("CARGO_BIN_EXE_pkt-gen"), &["-i", port, "-f", "tx", "-R", "1000"]);
        wait("frames arrive", || bed.arrived("v1") > before + 100);
        bed.ip("link set v0 down");
        std::thread::sleep(Duration::from_millis(500));
        signal_to(&tool, Signal::INT);
        let output = tool.wait_with_output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let number = |text: &str, after| text.split_once(after)?.1.split(' ').next()?.parse::<u64>().ok();
        let (sent, failed) = (number(&out, "\nSent "), number(&err, "the port failed to send "));
        let (Some(sent), Some(failed)) = (sent, failed) else { panic!("{port}: {out}{err}") };
        let arrived = bed.arrived("v1") - before; // with a few of the kernel's own
        assert!(failed > 300 && sent - failed <= arrived, "{port}: {sent}, {failed}, {arrived} arrived");
        assert_eq!(output.status.code(), Some(0), "{port}: {err}");
    }
}

/// An interface that vanishes under its port must not keep the worker awake, and can be detached.
#[test]
fn interfaces_that_vanish_wake_nobody() {
    let Some(bed) = Bed::new("gone") else { return };
    bed.ip("link add v0 type veth peer name v1");
    bed.ip("link set v0 up");
    bed.ip("link set v1 up");
    for port in ["vale0:v0", "vale0:v1@packet", "vale0:tap3@tap"] {
        assert_eq!(bed.ctl(&["-a", port]), DONE);
    }
    bed.ip("link del v0");
    bed.ip("link del tap3");
    std::thread::sleep(Duration::from_millis(500)); // the news of it may wake the worker
    bed.only_frames_wake();
    let stats = bed.ctl(&["stats", "vale0"]).1;
    for port in ["vale0:v0", "vale0:v1", "vale0:tap3"] {
        assert!(stats.contains(&format!("{port}: the interface is gone")), "{stats}");
    }
    for port in ["vale0:v0", "vale0:v1", "vale0:tap3"] {
        assert_eq!(bed.ctl(&["-d", port]), DONE);
    }
}

/// The descriptor of a TAP tells how it stands, also where it has been moved to.
#[test]
fn a_tap_that_is_down_or_gone_is_told_of() {
    let (Some(bed), other) = (Bed::new("tell"), Namespace::new("tell-far")) else { return };
    assert_eq!(bed.ctl(&["-a", "vale0:t3@tap"]), DONE);
    let told = |what: &str| {
        wait(what, || {
            let says = |args: &[&str]| bed.ctl(args).1.contains(what);
            says(&["stats", "vale0"]) && says(&["ports"])
        });
    };
    let is_well = || wait("nothing to tell", || !bed.ctl(&["stats", "vale0"]).1.contains("interface"));
    bed.ip("link set t3 down");
    told("vale0:t3: interface is down (try: ip link set t3 up)");
    wait("a line in the log", || bed.log().contains("vale0:t3: interface is down"));
    bed.ip("link set t3 up");
    is_well();
    bed.ip(&format!("link set t3 netns {}", other.0));
    told(
        "vale0:t3: interface is down (try: ip link set t3 up, in the network namespace that it was moved to)",
    );
    bed.ip(&format!("netns exec {} ip link set t3 up", other.0));
    is_well();
    bed.ip(&format!("netns exec {} ip link del t3", other.0));
    told("vale0:t3: the interface is gone (try: detach the port, and ip link)");
    wait("a line in the log", || bed.log().contains("vale0:t3: the interface is gone"));
}

/// As one that is on a switch: pkt-gen on it alone says what is wrong while it runs.
#[test]
fn pkt_gen_tells_of_its_tap() {
    let Some(bed) = Bed::new("own") else { return };
    let said = bed.dir.path().join("said");
    let mut tool = bed.command(env!("CARGO_BIN_EXE_pkt-gen"), &["-i", "t4@tap", "-f", "tx", "-R", "1000"]);
    tool.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut tool = tool.spawn().unwrap();
    let says = || std::fs::read_to_string(&said).unwrap();
    wait("it sends", || says().contains("Ready..."));
    bed.ip("link set t4 down");
    wait("a hint", || says().contains("t4@tap: interface is down (try: ip link set t4 up)\n"));
    bed.ip("link del t4");
    assert_eq!(tool.wait().unwrap().code(), Some(1), "{}", says());
    assert_eq!(says().matches("the interface is gone").count(), 1, "{}", says());
}

#[test]
fn a_persistent_one_that_somebody_deleted_is_made_anew() {
    let Some(bed) = Bed::new("del") else { return };
    assert_eq!(bed.ctl(&["-n", "pp"]), DONE);
    assert_eq!(bed.ctl(&["-a", "vale0:pp"]), DONE);
    bed.ip("link del pp");
    let busy = "failed to create pp: busy: attached as vale0:pp (try: vale-ctl -d vale0:pp)\n";
    assert_eq!(bed.ctl(&["-n", "pp"]), (false, busy.to_owned()));
    assert_eq!(bed.ctl(&["-d", "vale0:pp"]), DONE);
    let gone = "the interface is gone (try: vale-ctl -n pp, which makes it anew)";
    assert_eq!(bed.ctl(&["-a", "vale0:pp"]), (false, format!("failed to attach vale0:pp: {gone}\n")));
    assert!(bed.ctl(&["ports"]).1.contains(gone), "{}", bed.ctl(&["ports"]).1);
    assert_eq!(bed.ctl(&["-n", "pp"]), DONE);
    assert!(bed.is_there("pp"));
    assert_eq!(bed.ctl(&["-a", "vale0:pp"]), DONE);
    assert_eq!(bed.ctl(&["-d", "vale0:pp"]), DONE);
    assert_eq!(bed.ctl(&["-r", "pp"]), DONE);
    assert_eq!(bed.ctl(&["-n", "qq"]), DONE);
    bed.ip("link del qq");
    assert_eq!(bed.ctl(&["-r", "qq"]), DONE);
}

/// The control socket is a file, and files know no network namespaces.
#[test]
fn a_daemon_in_another_namespace_is_pointed_out() {
    let (Some(bed), other) = (Bed::new("here"), Namespace::new("there")) else { return };
    let from_there = |args: &[&str]| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &other.0, env!("CARGO_BIN_EXE_vale-ctl")]).args(args);
        let output = command.env("VALE_SOCKET", bed.dir.path().join("s")).output().unwrap();
        (output.status.success(), text(&output.stderr))
    };
    let no = "failed to attach vale0:p0: no such interface (try: ip link)";
    assert_eq!(bed.ctl(&["-a", "vale0:p0"]), (false, format!("{no}\n")), "here nothing is to be said");
    let pid = bed.valed.id();
    let way =
        format!("; valed is in another network namespace (try: nsenter -t {pid} -n, or another --socket)\n");
    assert_eq!(from_there(&["-a", "vale0:p0"]), (false, format!("{no}{way}")));
    assert_eq!(from_there(&["-a", "vale0:tap1@tap"]), DONE);
    let exists = "failed to create tap1: exists already (try: another name, or ip link)";
    assert_eq!(from_there(&["-n", "tap1"]), (false, format!("{exists}{way}")), "there it does not");
    // What is the same there is no matter of namespaces.
    for (args, says) in [
        (
            ["-a", "vale0:tap1@tap"],
            "failed to attach vale0:tap1@tap: already attached (try: vale-ctl -d vale0:tap1)\n",
        ),
        (
            ["-a", "vale0:vm1@vhost-user:queues=99"],
            "failed to attach vale0:vm1@vhost-user:queues=99: queues=99: 1 to 8\n",
        ),
    ] {
        assert_eq!(from_there(&args), (false, says.to_owned()));
    }
}

/// As through a raw socket and a TAP: nothing is kept to go out when the interface is up again, but for what came before
/// it was known to be down.
#[test]
fn frames_to_an_interface_that_is_down_fail() {
    const AT_ONCE: u64 = 256;
    let Some(bed) = Bed::new("fail") else { return };
    bed.ip("link add v0 type veth peer name v1");
    bed.ip("link set v0 up");
    bed.ip("link set v1 up");
    assert_eq!(bed.ctl(&["-a", "vale0:v0"]), DONE);
    bed.ip("link set v0 down");
    let before = bed.arrived("v1");
    let sent = bed.run(env!("CARGO_BIN_EXE_pkt-gen"), &["-i", "vale0:5", "-f", "tx", "-n", "10000"]);
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    let stats = serde_json::from_str::<Value>(&bed.ctl(&["stats", "vale0", "--json"]).1).unwrap();
    let (port, of) = (&stats["switches"][0]["ports"][0], |value: &Value| value.as_u64().unwrap_or(0));
    let (kept, failed) = (of(&port["tx_frames"]), of(&port["drops"]["error"]));
    assert!(kept <= AT_ONCE && kept + failed >= 10_000, "{stats:#}");
    assert_eq!(stats["switches"][0]["balance"], 0, "{stats:#}");
    bed.ip("link set v0 up");
    std::thread::sleep(Duration::from_millis(500));
    assert!(bed.arrived("v1") - before < kept + 20, "with a few of the kernel's own");
}
