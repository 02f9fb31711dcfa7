//! A `valed` in a network namespace of the test's own.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{text, wait};
use crate::idle::Sleeps;

/// A network namespace of the test's own, gone with it, and with all that runs there.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("vale-{name}-{}", std::process::id());
        assert!(Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Ok(inside) = Command::new("ip").args(["netns", "pids", &self.0]).output() {
            let pids = text(&inside.stdout);
            for pid in pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// A daemon in a namespace, both gone with this.
pub(crate) struct Bed {
    pub(crate) valed: Child,
    pub(crate) dir: tempfile::TempDir,
    namespace: Namespace,
}

impl Bed {
    /// None where there are no privileges for it.
    pub(crate) fn new(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("needs root: not run");
            return None;
        }
        let (dir, namespace) = (tempfile::tempdir().unwrap(), Namespace::new(name));
        // `ip netns exec` becomes the program: the child is valed itself.
        let mut valed = Command::new("ip");
        valed.args(["netns", "exec", &namespace.0, env!("CARGO_BIN_EXE_valed")]);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        valed.env("VALE_SOCKET", dir.path().join("s")).stdout(Stdio::null()).stderr(log);
        let bed = Self { valed: valed.spawn().unwrap(), dir, namespace };
        wait("valed answers", || UnixStream::connect(bed.dir.path().join("s")).is_ok());
        Some(bed)
    }

    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace.0, program]).args(args);
        command.env("VALE_SOCKET", self.dir.path().join("s"));
        command
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program, args).output().unwrap()
    }

    pub(crate) fn start(&self, program: &str, args: &[&str]) -> Child {
        self.command(program, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Whether `vale-ctl` succeeds, and what it says.
    pub(crate) fn ctl(&self, args: &[&str]) -> (bool, String) {
        let output = self.run(env!("CARGO_BIN_EXE_vale-ctl"), args);
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    #[track_caller]
    pub(crate) fn ip(&self, args: &str) {
        let output = self.run("ip", &args.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "ip {args}: {}", text(&output.stderr));
    }

    pub(crate) fn is_there(&self, interface: &str) -> bool {
        self.run("ip", &["link", "show", interface]).status.success()
    }

    /// What valed has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Frames that an interface has received.
    pub(crate) fn arrived(&self, interface: &str) -> u64 {
        let output = self.run("ip", &["-j", "-s", "link", "show", interface]);
        let links = serde_json::from_slice::<Value>(&output.stdout).unwrap();
        links[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
    }

    /// Frames that came in, such as what the kernel says when links come up.
    pub(crate) fn frames(&self) -> u64 {
        let stats = serde_json::from_str::<Value>(&self.ctl(&["stats", "vale0", "--json"]).1).unwrap();
        stats["switches"][0]["total"]["rx_frames"].as_u64().unwrap()
    }

    #[track_caller]
    pub(crate) fn only_frames_wake(&self) {
        let came = self.frames();
        let before = Sleeps::of(self.valed.id());
        std::thread::sleep(Duration::from_secs(2));
        let after = Sleeps::of(self.valed.id());
        let (woken, came) = (after.of_workers - before.of_workers, self.frames() - came);
        assert!(woken <= came, "{woken} times for {came} frames");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.valed.kill();
        let _ = self.valed.wait();
    }
}
