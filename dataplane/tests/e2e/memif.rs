//! Objective: a stock DPDK program joins the switch by memif, in either role, and every frame is accounted for on both sides;
//! one that is killed takes nothing with it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::bed::{Bed, text, until};

/// Longest that testpmd takes to start, and frames to arrive, on a machine whose cores are taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// DPDK's testpmd, at its prompt.
struct Testpmd {
    child: Child,
    prompt: ChildStdin,
    lines: Receiver<String>,
}

impl Testpmd {
    /// Starts one with these devices of so many rings each way, and waits until it listens to us.
    fn start(bed: &Bed, prefix: &str, devices: &[String], rings: usize) -> Self {
        // Its lines are to come as they are said: stdbuf becomes testpmd.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "dpdk-testpmd"])
            .args(["--lcores", "0@(0-1),1@(0-1)", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry"])
            .arg(format!("--file-prefix=vale{}{prefix}", std::process::id()))
            .args(devices.iter().map(|device| format!("--vdev={device}")))
            .args([
                "--",
                "-i",
                "--total-num-mbufs=16384",
                &format!("--rxq={rings}"),
                &format!("--txq={rings}"),
            ])
            .env("RUNTIME_DIRECTORY", bed.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dpdk-testpmd (packages dpdk-dev, librte-net-memif23)");
        let (said, lines) = channel();
        let (out, prompt) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        let mut testpmd = Self { child, prompt, lines };
        testpmd.frames();
        testpmd
    }

    fn say(&mut self, what: &str) {
        writeln!(self.prompt, "{what}").expect("testpmd listens");
    }

    fn forward(&mut self, how: &str) {
        self.say("stop");
        self.say(&format!("set fwd {how}"));
        self.say("start");
    }

    /// Frames that both its ports received, and sent.
    fn frames(&mut self) -> (u64, u64) {
        self.say("show port stats 0");
        self.say("show port stats 1");
        let counts = |name: &str| -> u64 {
            let line = std::iter::repeat_with(|| self.lines.recv_timeout(PATIENCE).expect("testpmd answers"))
                .find(|line| line.trim_start().starts_with(name))
                .unwrap();
            line.split_whitespace().nth(1).unwrap().parse().expect("a number")
        };
        let [one, two] = [(); 2].map(|()| (counts("RX-packets:"), counts("TX-packets:")));
        (one.0 + two.0, one.1 + two.1)
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that is killed in the end; it waits for a line.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A count of the switch's total.
fn total(bed: &Bed, what: &str) -> i64 {
    let stats: serde_json::Value = serde_json::from_str(&bed.ctl(&["stats", "vale0", "--json"])).unwrap();
    let switch = &stats["switches"][0];
    if what == "balance" { &switch[what] } else { &switch["total"][what] }.as_i64().unwrap()
}

/// Attaches a port on which we listen, and one that goes to where testpmd listens, of so many rings each way; gives
/// testpmd's devices for both.
fn attach(bed: &Bed, rings: usize) -> [String; 2] {
    let theirs = bed.path("theirs.sock").display().to_string();
    let attached = bed.try_ctl(&["-a", &format!("vale0:dpdk1@memif:queues={rings}")]);
    let said = String::from_utf8_lossy(&attached.stderr).into_owned();
    assert!(said.contains("role=client") && said.contains("slave no-zero-copy"), "{said}");
    assert!(said.contains("vale0-dpdk1.sock"), "{said}");
    bed.ctl(&["-a", &format!("vale0:dpdk2@memif:client,id=7,secret=sesame,queues={rings},path={theirs}")]);
    let ours = bed.path("vale0-dpdk1.sock").display().to_string();
    [
        format!("net_memif0,role=client,id=0,socket-abstract=no,socket={ours}"),
        format!("net_memif1,role=server,id=7,secret=sesame,socket-abstract=no,socket={theirs}"),
    ]
}

#[test]
fn a_stock_dpdk_program_exchanges_frames_in_both_roles() {
    exchange("a", 1);
}

#[test]
fn a_stock_dpdk_program_exchanges_frames_by_several_rings() {
    exchange("d", 3);
}

/// What is printed to be pasted starts, for two ports at a time.
#[test]
fn the_commands_that_are_printed_run_side_by_side() {
    let Some(bed) = Bed::new() else { return };
    let start = |name: &str| {
        let said = text(&bed.try_ctl(&["-a", &format!("vale0:{name}@memif")]));
        let command =
            said.lines().find_map(|line| line.split_once("DPDK: ")).unwrap_or_else(|| panic!("{said}")).1;
        let (program, arguments) = command.split_once(' ').unwrap();
        let mut command = Command::new(program);
        command.args(arguments.split(' ')).env("RUNTIME_DIRECTORY", bed.path(""));
        Held(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("dpdk-testpmd"))
    };
    let _programs = ["pasted1", "pasted2"].map(start);
    until("both are connected", PATIENCE, || bed.ctl(&["ports"]).matches("connected: 2 rings").count() == 2);
}

fn exchange(prefix: &str, rings: usize) {
    let Some(bed) = Bed::new() else { return };
    let devices = attach(&bed, rings);
    let mut testpmd = Testpmd::start(&bed, prefix, &devices, rings);
    testpmd.forward("flowgen");
    until("frames flow both ways", PATIENCE, || testpmd.frames().0 > 100_000);
    // It stops sending, takes what is left, and both sides say the same.
    testpmd.forward("rxonly");
    let mut seen = (0, 0);
    until("both count the same", PATIENCE, || {
        seen = testpmd.frames();
        let switch = (total(&bed, "tx_frames"), total(&bed, "rx_frames"));
        (i64::try_from(seen.0).unwrap(), i64::try_from(seen.1).unwrap()) == switch
    });
    assert_eq!(total(&bed, "balance"), 0, "frames are lost on the switch");
    testpmd.say("quit");
    until("testpmd ends", PATIENCE, || testpmd.child.try_wait().unwrap().is_some());
    bed.ctl(&["-d", "vale0:dpdk1"]);
    bed.ctl(&["-d", "vale0:dpdk2"]);
    assert!(!bed.path("vale0-dpdk1.sock").exists(), "the socket stays");
}

#[test]
fn a_killed_program_frees_its_ports() {
    let Some(bed) = Bed::new() else { return };
    let devices = attach(&bed, 1);
    for round in ["b", "c"] {
        let before = total(&bed, "rx_frames");
        let mut testpmd = Testpmd::start(&bed, round, &devices, 1);
        testpmd.forward("flowgen");
        until("frames flow", PATIENCE, || testpmd.frames().0 > 10_000);
        testpmd.child.kill().unwrap();
        testpmd.child.wait().unwrap();
        let _ = std::fs::remove_file(bed.path("theirs.sock")); // which it cannot do any more
        assert!(total(&bed, "rx_frames") > before);
        until("all is accounted for", PATIENCE, || total(&bed, "balance") == 0);
    }
}
