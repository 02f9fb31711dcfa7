//! Objective: a guest of a stock QEMU joins the switch by vhost-user or a stream socket and talks to our endpoint, also
//! after the daemon was killed under it.
//!
//! Guests run by software emulation, with a kernel of Debian's (`scripts/guest-image`).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::bed::{Bed, run, until};

/// Longest a guest may be silent: emulated on a machine whose cores are taken, booting takes its time.
const PATIENCE: Duration = Duration::from_secs(180);

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A guest, and what it says on its console.
struct Guest {
    qemu: Child,
    lines: Receiver<String>,
}

impl Guest {
    /// Boots a guest with this address on the socket of a vhost-user port; it runs `job` and goes down.
    fn boot(bed: &Bed, port: &str, number: u8, job: &str) -> Self {
        Self::boot_by("--vhost-user", bed, port, number, job)
    }

    /// The same, on a socket of any kind.
    fn boot_by(kind: &str, bed: &Bed, port: &str, number: u8, job: &str) -> Self {
        let script = bed.path(&format!("{port}.sh"));
        std::fs::write(&script, job).unwrap();
        let mut qemu = Command::new(root().join("scripts/launch-qemu"))
            .args(["qemu", "--ip", &format!("10.0.0.{number}/24"), kind])
            .arg(bed.path(&format!("vale0-{port}.sock")))
            .arg("--run")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("scripts/launch-qemu");
        let console = BufReader::new(qemu.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            console.lines().map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        Self { qemu, lines }
    }

    /// What the guest says, up to the first line with this in it.
    fn until(&self, what: &str) -> String {
        let mut text = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => text += &format!("{line}\n"),
                Err(e) => panic!("no {what:?} from the guest: {e}\n{text}"),
            }
            if text.lines().last().is_some_and(|line| line.contains(what)) {
                return text;
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Super-frames both ways, and nothing is lost on the switch that is not counted.
#[test]
fn a_stock_guest_talks_tcp_to_our_endpoint() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.1/24", &[]);
    let output = run(&mut bed.program(env!("CARGO_BIN_EXE_vale-ctl"), &["ports"]));
    assert!(!output.contains("vm1"), "{output}");
    let attached = bed.try_ctl(&["-a", "vale0:vm1@vhost-user"]);
    let said = String::from_utf8_lossy(&attached.stderr).into_owned();
    assert!(said.contains("share=on") && said.contains("vale0-vm1.sock"), "{said}");
    let job = "ping -c 3 -W 5 10.0.0.1 && iperf3 -c 10.0.0.1 -t 1 && iperf3 -c 10.0.0.1 -t 1 -R";
    let guest = Guest::boot(&bed, "vm1", 2, job);
    let said = guest.until("GUEST-RC");
    assert!(said.contains("GUEST-RC 0") && said.matches("receiver").count() == 2, "{said}");
    let stats: serde_json::Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
    assert!(stats.to_string().contains("vm1"), "{stats:#}");
    drop(guest);
    bed.ctl(&["-d", "vale0:vm1"]);
    assert!(!bed.path("vale0-vm1.sock").exists(), "the socket stays");
}

/// Without shared memory: frames by a socket, both ways, and another guest after the first was killed.
#[test]
fn a_stock_guest_joins_by_a_stream_socket() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.1/24", &[]);
    bed.ctl(&["-a", "vale0:vm1@stream"]);
    let doomed = Guest::boot_by("--stream", &bed, "vm1", 2, TRAFFIC);
    doomed.until("PING 2 ANSWERED");
    drop(doomed); // SIGKILL
    let job = "ping -c 3 -W 5 10.0.0.1 && iperf3 -c 10.0.0.1 -t 1 && iperf3 -c 10.0.0.1 -t 1 -R";
    let guest = Guest::boot_by("--stream", &bed, "vm1", 2, job);
    let said = guest.until("GUEST-RC");
    assert!(said.contains("GUEST-RC 0") && said.matches("receiver").count() == 2, "{said}");
    drop(guest);
    until("every frame is in a count", Duration::from_secs(20), || {
        let stats: serde_json::Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
        stats["switches"][0]["balance"] == 0
    });
    bed.ctl(&["-d", "vale0:vm1"]);
    assert!(!bed.path("vale0-vm1.sock").exists(), "the socket stays");
}

/// Each frame a datagram, both ways.
#[test]
fn a_stock_guest_joins_by_datagrams() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.1/24", &[]);
    bed.ctl(&["-a", "vale0:vm1@dgram"]);
    let job = "ping -c 3 -W 5 10.0.0.1 && iperf3 -c 10.0.0.1 -t 1 && iperf3 -c 10.0.0.1 -t 1 -R";
    let guest = Guest::boot_by("--dgram", &bed, "vm1", 2, job);
    let said = guest.until("GUEST-RC");
    assert!(said.contains("GUEST-RC 0") && said.matches("receiver").count() == 2, "{said}");
}

/// QEMU listens and we come to it: also the next daemon, after the first was killed under traffic.
#[test]
fn a_guest_that_listens_survives_its_daemon() {
    let Some(mut bed) = Bed::new() else { return };
    let port = format!("vale0:vm1@stream:path={},client", bed.path("vale0-vm1.sock").display());
    let start = |bed: &Bed| {
        bed.ctl(&["-a", &port]);
        bed.server("vale0:ep", "10.0.0.1/24", &[])
    };
    let server = start(&bed);
    let guest = Guest::boot_by("--stream-server", &bed, "vm1", 2, TRAFFIC);
    guest.until("PING 2 ANSWERED");
    bed.stop("-KILL");
    drop(server);
    bed.start();
    let _server = start(&bed);
    guest.lines.try_iter().for_each(drop); // what was said before it was back
    guest.until("ANSWERED");
}

/// In the guest: a stream to the endpoint without end, and an echo request a second, told of one by one.
const TRAFFIC: &str = "
    while :; do iperf3 -c 10.0.0.1 -t 1000 >/dev/null 2>&1; sleep 1; done &
    n=0
    while n=$((n + 1)); do
        echo SENT $n
        if ping -c 1 -W 10 10.0.0.1 >/dev/null; then echo PING $n ANSWERED; else echo PING $n LOST; fi
        sleep 1
    done";

/// The daemon is killed under traffic and comes back: QEMU connects again by itself, and of the pings that are sent once
/// everything is back one may be lost, since QEMU waits for a second before it tries.
#[test]
fn a_killed_daemon_comes_back_to_its_guest() {
    let Some(mut bed) = Bed::new() else { return };
    let start = |bed: &Bed| {
        bed.ctl(&["-a", "vale0:vm1@vhost-user"]);
        bed.server("vale0:ep", "10.0.0.1/24", &[])
    };
    let server = start(&bed);
    let guest = Guest::boot(&bed, "vm1", 2, TRAFFIC);
    guest.until("PING 3 ANSWERED");
    bed.stop("-KILL");
    drop(server);
    bed.start();
    let _server = start(&bed);
    let sent = guest.lines.try_iter().filter_map(|line| line.strip_prefix("SENT ")?.trim().parse().ok());
    let sent: u32 = sent.last().unwrap_or(3);
    let fates = [1, 2, 3].map(|n| guest.until(&format!("PING {} ", sent + n)));
    let lost = fates.iter().filter(|said| said.trim_end().ends_with("LOST")).count();
    assert!(lost <= 1, "{fates:?}");
}

/// A guest is killed under traffic: its memory is let go of, its port is there for the next, and another guest's pings are
/// answered all the while.
#[test]
fn a_killed_guest_frees_its_port() {
    let Some(bed) = Bed::new() else { return };
    let _server = bed.server("vale0:ep", "10.0.0.1/24", &[]);
    bed.ctl(&["-a", "vale0:vm1@vhost-user"]);
    bed.ctl(&["-a", "vale0:vm2@vhost-user"]);
    let doomed = Guest::boot(&bed, "vm1", 2, TRAFFIC);
    let other = Guest::boot(&bed, "vm2", 3, &TRAFFIC.replace("iperf3", ": iperf3"));
    doomed.until("PING 2 ANSWERED");
    let mut said = other.until("PING 2 ");
    assert_eq!(guest_memories(&bed), 2);
    drop(doomed); // SIGKILL
    until("its memory is let go of", Duration::from_secs(20), || guest_memories(&bed) == 1);
    let next = Guest::boot(&bed, "vm1", 2, "ping -c 1 -W 20 10.0.0.1");
    let answered = next.until("GUEST-RC");
    assert!(answered.contains("GUEST-RC 0"), "{answered}");
    said.extend(other.lines.try_iter().map(|line| line + "\n"));
    said += &other.until("PING ");
    assert!(!said.contains("LOST"), "{said}");
}

/// How many guests' memories the daemon maps.
fn guest_memories(bed: &Bed) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", bed.valed())).unwrap();
    let inode = |line: &str| line.split_whitespace().nth(4).map(str::to_owned);
    maps.lines()
        .filter(|line| line.contains("memory-backend-memfd"))
        .filter_map(inode)
        .collect::<BTreeSet<_>>()
        .len()
}
