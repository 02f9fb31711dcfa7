//! A `valed` of the test's own, and what it takes to talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `until` holds.
#[track_caller]
pub(crate) fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !until() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A program of this crate, told to use `socket`.
pub(crate) fn program(path: &str, socket: &Path) -> Command {
    let mut command = Command::new(path);
    command.env("VALE_SOCKET", socket);
    command
}

/// A daemon in a directory of its own, killed with its directory.
pub(crate) struct Valed {
    pub(crate) child: Child,
    pub(crate) dir: tempfile::TempDir,
}

impl Valed {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args)
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let child = program(env!("CARGO_BIN_EXE_valed"), &dir.path().join("s"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let valed = Self { child, dir };
        wait("valed answers", || UnixStream::connect(valed.socket()).is_ok());
        valed
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(UnixStream::connect(self.socket()).unwrap())
    }

    /// Runs `vale-ctl` against this daemon.
    pub(crate) fn ctl(&self, args: &[&str]) -> Output {
        program(env!("CARGO_BIN_EXE_vale-ctl"), &self.socket()).args(args).output().unwrap()
    }

    /// The same in this directory.
    pub(crate) fn ctl_in(&self, dir: &Path, args: &[&str]) -> Output {
        program(env!("CARGO_BIN_EXE_vale-ctl"), &self.socket()).current_dir(dir).args(args).output().unwrap()
    }

    /// `vale-ctl` that must succeed: what it prints.
    #[track_caller]
    pub(crate) fn ctl_ok(&self, args: &[&str]) -> String {
        let output = self.ctl(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// `vale-ctl` that must fail: what it says.
    #[track_caller]
    pub(crate) fn ctl_fails(&self, args: &[&str]) -> String {
        let output = self.ctl(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        text(&output.stderr)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        signal_to(&self.child, signal);
    }

    /// Waits for the end: exit code, standard output, standard error.
    pub(crate) fn end(&mut self) -> (Option<i32>, String, String) {
        wait("valed ends", || self.child.try_wait().unwrap().is_some());
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Valed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal_to(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A raw client of the control socket.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    /// Sends a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    /// The next line, or `None` when the daemon has hung up.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("{e}"),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        self.hear().unwrap()
    }

    /// Asks, and returns what the refusal says.
    #[track_caller]
    pub(crate) fn refused(&mut self, line: &str) -> String {
        let reply = self.ask(line);
        reply["error"].as_str().unwrap_or_else(|| panic!("{line}: {reply}")).to_owned()
    }
}
