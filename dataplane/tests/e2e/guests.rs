//! Objective: a guest of a stock QEMU joins the switch by vhost-user and talks to our endpoint, also after the daemon was
//! killed under it.
//!
//! Guests run by software emulation, with a kernel of Debian's (`scripts/guest-image`).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::bed::{Bed, Running, run};

/// Longest a guest may be silent: emulated on a machine whose cores are taken, booting takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the guest's kernel and initramfs are, made if they are not there.
fn image() -> PathBuf {
    let made = Running::start(&mut Command::new(root().join("scripts/guest-image"))).wait(PATIENCE);
    assert!(made.status.success(), "{made:?}");
    root().join("target/guest")
}

/// A guest, and what it says on its console.
struct Guest {
    qemu: Child,
    lines: Receiver<String>,
}

impl Guest {
    /// Boots a guest with this address on a socket of the bed; it runs `job` and goes down.
    fn boot(bed: &Bed, port: &str, number: u8, job: &str) -> Self {
        let image = image();
        let script = bed.path(&format!("{port}.sh"));
        std::fs::write(&script, job).unwrap();
        let append = format!("console=ttyS0 quiet panic=-1 mitigations=off ip=10.0.0.{number}/24");
        let socket = bed.path(&format!("vale0-{port}.sock"));
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"])
            .args(["-m", "256", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem"])
            .arg("-kernel")
            .arg(image.join("vmlinuz"))
            .arg("-initrd")
            .arg(image.join("initramfs.cpio"))
            .args(["-append", &append, "-fw_cfg", &format!("name=opt/run,file={}", script.display())])
            .args([
                "-object",
                "memory-backend-memfd,id=m0,size=256M,share=on",
                "-machine",
                "memory-backend=m0",
            ])
            .args(["-chardev", &format!("socket,id=c0,path={},reconnect=1", socket.display())])
            .args(["-netdev", "vhost-user,id=n0,chardev=c0"])
            // vectors=0: QEMU 7.2 crashes under emulation when it is to unmask a vector.
            .args([
                "-device",
                &format!("virtio-net-pci,netdev=n0,romfile=,vectors=0,mac=52:54:00:76:00:{number:02x}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("qemu-system-x86_64 (package qemu-system-x86)");
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

/// The daemon is killed and comes back: QEMU connects again by itself, and the guest goes on.
#[test]
fn a_killed_daemon_comes_back_to_its_guest() {
    let Some(mut bed) = Bed::new() else { return };
    let start = |bed: &Bed| {
        bed.ctl(&["-a", "vale0:vm1@vhost-user"]);
        bed.server("vale0:ep", "10.0.0.1/24", &[])
    };
    let server = start(&bed);
    let answers =
        "answers() { until ping -c 1 -W 2 10.0.0.1; do echo LOST; done >/dev/null; echo ANSWERED $1; }";
    let job =
        format!("{answers}\nanswers one; while ping -c 1 -W 1 10.0.0.1 >/dev/null; do :; done; answers two");
    let guest = Guest::boot(&bed, "vm1", 2, &job);
    guest.until("ANSWERED one");
    bed.stop("-KILL");
    drop(server);
    bed.start();
    let _server = start(&bed);
    guest.until("ANSWERED two");
    guest.until("GUEST-DOWN");
}
