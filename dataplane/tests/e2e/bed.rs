//! A test bed: a namespace with the appliance in it, namespaces with stock programs around it.
//!
//! Everything lives in namespaces, processes and a directory that the bed made and takes away again, also when
//! a test panics.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A stream that is faster than this, bit/s, moves. How fast it should be is for `scripts/bench`: tests gate on no time,
/// and the machines are shared.
pub(crate) const MOVES: f64 = 1e6;

/// Whether this process may make namespaces. In CI the answer must be yes.
pub(crate) fn privileged() -> bool {
    let root = rustix::process::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI runs the end-to-end tests as root, or not at all");
    if !root {
        eprintln!("not run: needs root (network namespaces)");
    }
    root
}

/// A process that does not outlive its owner.
pub(crate) struct Running {
    child: Child,
    what: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        Self { child, what }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        run(Command::new("kill").args([signal, &self.pid().to_string()]));
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    /// Waits for the end; panics if it does not come.
    pub(crate) fn wait(mut self, limit: Duration) -> Output {
        let mut child = std::mem::replace(&mut self.child, Command::new("true").spawn().expect("true"));
        let pipe = |p: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                if let Some(mut p) = p {
                    let _ = p.read_to_end(&mut text);
                }
                text
            })
        };
        let out = pipe(child.stdout.take().map(|p| Box::new(p) as _));
        let err = pipe(child.stderr.take().map(|p| Box::new(p) as _));
        let end = Instant::now() + limit;
        let status = loop {
            match child.try_wait().expect("a child of ours") {
                Some(status) => break status,
                None if Instant::now() > end => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let text = |t: std::thread::JoinHandle<Vec<u8>>| {
                        String::from_utf8_lossy(&t.join().unwrap()).into_owned()
                    };
                    panic!("{} still runs after {limit:?}\n{}\n{}", self.what, text(out), text(err));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        Output { status, stdout: out.join().expect("reader"), stderr: err.join().expect("reader") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must succeed, and soon, and gives what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = Running::start(command).wait(Duration::from_secs(30));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything a command printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Polls until `done` says so; panics after `limit`.
pub(crate) fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A network namespace with loopback up and no IPv6 chatter.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    fn new(bed: &str, name: &str) -> Self {
        let ns = Self { name: format!("{bed}-{name}") };
        run(Command::new("ip").args(["netns", "add", &ns.name]));
        for what in ["all", "default"] {
            ns.ok("sysctl", &["-qw", &format!("net.ipv6.conf.{what}.disable_ipv6=1")]);
        }
        ns.ok("ip", &["link", "set", "lo", "up"]);
        ns
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command to be run inside.
    pub(crate) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref()).args(args);
        command
    }

    /// Runs a command inside that must succeed.
    pub(crate) fn ok(&self, program: &str, args: &[&str]) -> String {
        run(&mut self.command(program, args))
    }

    /// A stock iperf3 server inside, once it listens.
    pub(crate) fn iperf3_server(&self) -> Running {
        let server = Running::start(&mut self.command("iperf3", &["-s"]));
        until("iperf3 listens", Duration::from_secs(20), || {
            self.ok("ss", &["-ltn", "sport = :5201"]).contains("LISTEN")
        });
        server
    }

    /// Waits until an address answers at all.
    pub(crate) fn reaches(&self, address: &str) {
        until("an answer", Duration::from_secs(20), || {
            self.command("ping", &["-c", "1", "-W", "1", address]).output().is_ok_and(|o| o.status.success())
        });
    }

    /// Sends `count` echo requests, all of which must be answered. Ping waits for the last answer no longer than one
    /// interval or two round trips, which is too short on a machine whose cores are taken unless intervals are long.
    pub(crate) fn ping(&self, address: &str, count: u32) {
        let text = self.ok("ping", &["-c", &count.to_string(), "-i", "0.3", "-W", "2", address]);
        assert!(text.contains(" 0% packet loss"), "{text}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// The appliance in a namespace of its own. Fields are dropped in order: processes, namespaces, directory.
pub(crate) struct Bed {
    valed: Option<Running>,
    pub(crate) switch: Namespace,
    id: String,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bed {
    /// `None` where namespaces cannot be made; see [`privileged`].
    pub(crate) fn new() -> Option<Self> {
        if !privileged() {
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("vt{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("vale.sock");
        let mut bed =
            Self { valed: None, switch: Namespace::new(&id, "sw"), id, socket, _directory: directory };
        bed.start();
        Some(bed)
    }

    /// Starts `valed` and waits until it answers.
    pub(crate) fn start(&mut self) {
        let mut command = self.switch.command(env!("CARGO_BIN_EXE_valed"), &[]);
        self.valed = Some(Running::start(command.env("VALE_SOCKET", &self.socket)));
        let socket = self.socket.clone();
        until("valed answers", Duration::from_secs(20), || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
    }

    /// Ends `valed` and gives what it printed.
    pub(crate) fn stop(&mut self, signal: &str) -> Output {
        let valed = self.valed.take().expect("valed runs");
        valed.signal(signal);
        valed.wait(Duration::from_secs(20))
    }

    /// The process that `valed` is.
    pub(crate) fn valed(&self) -> u32 {
        self.valed.as_ref().expect("valed runs").pid()
    }

    /// A file in the bed's directory, where the sockets are too.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.socket.with_file_name(name)
    }

    pub(crate) fn namespace(&self, name: &str) -> Namespace {
        Namespace::new(&self.id, name)
    }

    /// One of our programs, in the switch's namespace, talking to this bed's `valed`.
    pub(crate) fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = self.switch.command(program, args);
        command.env("VALE_SOCKET", &self.socket);
        command
    }

    pub(crate) fn try_ctl(&self, args: &[&str]) -> Output {
        self.program(env!("CARGO_BIN_EXE_vale-ctl"), args).output().expect("vale-ctl starts")
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        run(&mut self.program(env!("CARGO_BIN_EXE_vale-ctl"), args))
    }

    /// A hosted endpoint, up and listening.
    pub(crate) fn server(&self, port: &str, address: &str, more: &[&str]) -> Running {
        let args = [&["--on", port, "--ip", address, "-s"], more].concat();
        let server = self.endpoint(&args);
        until("the endpoint's port is there", Duration::from_secs(20), || {
            self.ctl(&[]).contains(&format!("{port} "))
        });
        server
    }

    pub(crate) fn endpoint(&self, args: &[&str]) -> Running {
        Running::start(&mut self.program(env!("CARGO_BIN_EXE_iperf-endpoint"), args))
    }

    pub(crate) fn pkt_gen(&self, args: &[&str]) -> Running {
        Running::start(&mut self.program(env!("CARGO_BIN_EXE_pkt-gen"), args))
    }

    /// Attaches a TAP and hands its host side to `to`, with `address`.
    pub(crate) fn tap(&self, tap: &str, to: &Namespace, address: &str) {
        self.ctl(&["-a", &format!("vale0:{tap}@tap")]);
        self.hand_over(tap, to, address);
    }

    /// Moves an interface of the switch's namespace to `to`, with `address`.
    pub(crate) fn hand_over(&self, interface: &str, to: &Namespace, address: &str) {
        self.switch.ok("ip", &["link", "set", interface, "netns", to.name()]);
        to.ok("ip", &["addr", "add", address, "dev", interface]);
        to.ok("ip", &["link", "set", interface, "up"]);
    }

    /// A veth pair: `near` in the switch's namespace, up; `far` in `to`, with `address`.
    pub(crate) fn veth(&self, near: &str, to: &Namespace, far: &str, address: &str) {
        let peer = ["peer", "name", far, "netns", to.name()];
        self.switch.ok("ip", &[&["link", "add", near, "type", "veth"], peer.as_slice()].concat());
        self.switch.ok("ip", &["link", "set", near, "up"]);
        to.ok("ip", &["addr", "add", address, "dev", far]);
        to.ok("ip", &["link", "set", far, "up"]);
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(valed) = self.valed.take() {
            valed.signal("-TERM");
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                valed.wait(Duration::from_secs(20))
            }));
        }
    }
}
