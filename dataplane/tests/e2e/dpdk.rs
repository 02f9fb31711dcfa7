//! Objective: a stock DPDK driver (testpmd on virtio_user) exchanges frames by vhost-user, comes and goes as it likes, and
//! every frame is accounted for.
//!
//! No hugepages: its memory is a file like any other.

use std::time::Duration;

use dataplane::worker::cores;
use serde_json::Value;

use crate::bed::{Bed, Running, text, until};

/// Slots of each of its rings, which is its default.
const SLOTS: u64 = 256;
const PATIENCE: Duration = Duration::from_secs(20);

/// testpmd with a virtio_user on each of these ports, which are attached, by so many queues.
fn testpmd(bed: &Bed, ports: &[&str], queues: u64, mode: &str, more: &[&str]) -> Running {
    let devices = ports.iter().map(|port| {
        let path = bed.path(&format!("vale0-{port}.sock"));
        format!("queues={queues},path={}", path.display())
    });
    let queues = [format!("--rxq={queues}"), format!("--txq={queues}")];
    let queues = queues.iter().map(String::as_str);
    testpmd_with(bed, devices, mode, &queues.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// testpmd with a virtio_user as each of these says; both of its threads on whatever core is free.
fn testpmd_with(bed: &Bed, devices: impl Iterator<Item = String>, mode: &str, more: &[&str]) -> Running {
    let device = |(i, options)| format!("--vdev=net_virtio_user{i},mac=02:00:00:00:00:0{i},{options}");
    let devices: Vec<_> = devices.enumerate().map(device).collect();
    let mut args =
        vec!["--lcores", "0@(0,1),1@(0,1)", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry"];
    args.extend(["--file-prefix", bed.switch.name()]);
    args.extend(devices.iter().map(String::as_str));
    args.extend(["--", "--forward-mode", mode, "--total-num-mbufs=8192", "--stats-period", "1"]);
    let mut command = bed.switch.command("dpdk-testpmd", &[&args[..], more].concat());
    let files = bed.path("dpdk");
    std::fs::create_dir_all(&files).unwrap();
    Running::start(command.env("RUNTIME_DIRECTORY", files))
}

fn stats(bed: &Bed) -> Value {
    let stats: Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
    stats["switches"][0].clone()
}

/// A count of one port.
fn of(stats: &Value, port: &str, count: &str) -> u64 {
    let ports = stats["ports"].as_array().unwrap_or_else(|| panic!("{stats:#}"));
    let port = ports.iter().find(|p| p["name"] == format!("vale0:{port}"));
    port.unwrap_or_else(|| panic!("{stats:#}"))[count].as_u64().unwrap_or_default()
}

/// The last of testpmd's own counts of this name: that of all its ports, since it began.
fn last(said: &str, count: &str) -> u64 {
    let after = said.rsplit_once(count).unwrap_or_else(|| panic!("no {count}\n{said}")).1;
    after.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

/// Frames through two ports and back, for some seconds; the driver's counts and ours agree but for what was in its rings
/// when it ended.
#[test]
fn a_driver_and_the_switch_count_the_same_frames() {
    same_frames(1, "");
}

/// The same with two queues, of which each is received by a worker of its own.
#[test]
fn two_workers_and_a_driver_of_two_queues_count_the_same_frames() {
    if cores::available().len() < 2 {
        return;
    }
    let Some(said) = same_frames(2, ":queues=2,workers=2") else { return };
    for queue in ["tx_q0_good_packets ", "tx_q1_good_packets "] {
        assert!(last(&said, queue) > 2 * SLOTS, "somebody took frames off both\n{said}");
    }
}

/// Says what the driver said.
fn same_frames(queues: u64, options: &str) -> Option<String> {
    let bed = Bed::new()?;
    bed.ctl(&["-a", &format!("vale0:vm0@vhost-user{options}")]);
    bed.ctl(&["-a", &format!("vale0:vm1@vhost-user{options}")]);
    let more = [
        "--eth-peer=0,02:00:00:00:00:01",
        "--eth-peer=1,02:00:00:00:00:00",
        "--display-xstats=tx_q0_good_packets,tx_q1_good_packets",
    ];
    let driver = testpmd(&bed, &["vm0", "vm1"], queues, "flowgen", &more);
    until("frames go both ways", PATIENCE, || {
        let stats = stats(&bed);
        ["vm0", "vm1"].iter().all(|port| of(&stats, port, "tx_frames") > 10_000)
    });
    std::thread::sleep(Duration::from_secs(2)); // of steady traffic
    driver.signal("-INT");
    let said = text(&driver.wait(PATIENCE));
    let stats = stats(&bed);
    assert_eq!(stats["balance"], 0, "{stats:#}");
    let sum = |count| of(&stats, "vm0", count) + of(&stats, "vm1", count);
    let (sent, received) = (last(&said, "TX-packets:"), last(&said, "RX-packets:"));
    assert!(sum("rx_frames") <= sent && sent - sum("rx_frames") <= 2 * queues * SLOTS, "{sent}: {stats:#}");
    assert!(
        received <= sum("tx_frames") && sum("tx_frames") - received <= 2 * queues * SLOTS,
        "{received}: {stats:#}"
    );
    Some(said)
}

/// A driver that floods and never looks at what it is sent holds up nobody; killed, it leaves its port free.
#[test]
fn a_driver_that_never_receives_and_is_killed_harms_nobody() {
    let Some(bed) = Bed::new() else { return };
    bed.ctl(&["-a", "vale0:vm0@vhost-user"]);
    let _receiver = bed.pkt_gen(&["-i", "vale0:1", "-f", "rx"]);
    let _sender = bed.pkt_gen(&["-i", "vale0:2", "-f", "tx", "-R", "20000", "-w", "0"]);
    let mut driver = testpmd(&bed, &["vm0"], 1, "txonly", &[]);
    for kill in [true, false] {
        let taken = of(&stats(&bed), "vm0", "rx_frames");
        until("the driver sends", PATIENCE, || of(&stats(&bed), "vm0", "rx_frames") > taken + 10_000);
        until("its ring is full", PATIENCE, || {
            of(&stats(&bed), "vm0", "tx_frames") >= SLOTS && stats(&bed).to_string().contains("\"full\"")
        });
        let (before, sent) = (stats(&bed), |s: &Value| of(s, "2", "rx_frames"));
        until("another still sends", PATIENCE, || sent(&stats(&bed)) > sent(&before) + 1000);
        until("another still receives", PATIENCE, || {
            of(&stats(&bed), "1", "tx_frames") > of(&before, "1", "tx_frames") + 1000
        });
        driver.signal(if kill { "-KILL" } else { "-INT" });
        drop(driver.wait(PATIENCE));
        if !kill {
            break;
        }
        driver = testpmd(&bed, &["vm0"], 1, "txonly", &[]);
    }
    bed.ctl(&["-d", "vale0:vm0"]);
    assert!(!bed.path("vale0-vm0.sock").exists(), "the socket stays");
}

/// A driver that listens: it is we who come, go, and come back to rings that went on meanwhile.
#[test]
fn a_driver_that_listens_goes_on_after_we_come_back() {
    let Some(bed) = Bed::new() else { return };
    let path = bed.path("dpdk.sock");
    let device = format!("server=1,path={}", path.display());
    let port = format!("vale0:vm0@vhost-user:client,path={}", path.display());
    bed.ctl(&["-a", "vale0:x@null"]);
    bed.ctl(&["-a", &port]);
    let driver = testpmd_with(&bed, std::iter::once(device), "flowgen", &[]);
    let _sender = bed.pkt_gen(&["-i", "vale0:2", "-f", "tx", "-R", "20000", "-w", "0"]);
    for round in 0..4 {
        if round > 0 {
            bed.ctl(&["-d", "vale0:vm0"]);
            bed.ctl(&["-a", &port]);
        }
        until(&format!("it sends and receives, round {round}"), PATIENCE, || {
            let stats = stats(&bed);
            of(&stats, "vm0", "rx_frames") > 100_000 && of(&stats, "vm0", "tx_frames") > 1000
        });
    }
    driver.signal("-INT");
    drop(driver.wait(PATIENCE));
    assert_eq!(stats(&bed)["balance"], 0);
}
