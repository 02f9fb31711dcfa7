//! Stock iperf3, as a process beside the test.

use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `done`.
#[track_caller]
pub(crate) fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{otherwise}");
    }
}

/// A port that no other test is given, and no connection: these are below where Linux takes ports of its own choice from.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 20_000;
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .take(20_000)
        .find(free)
        .expect("a free port")
}

/// Waits until somebody listens on a port: asking by a connection would be taken for a client.
#[track_caller]
pub(crate) fn listens(port: u16) {
    let local = format!(":{port:04X}");
    eventually("nobody listens", || {
        std::thread::sleep(Duration::from_millis(2));
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
            let table = std::fs::read_to_string(table).unwrap_or_default();
            let mut sockets = table.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
            sockets.any(|s| s.len() > 3 && s[1].ends_with(&local) && s[3] == "0A")
        })
    });
}

/// A stock process that does not outlive the test.
pub(crate) struct Stock(Option<Child>);

impl Stock {
    pub(crate) fn start(args: &[&str]) -> Self {
        let child = Command::new("iperf3").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Some(child.expect("stock iperf3 is needed (try: apt-get install iperf3)")))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(None)))
    }

    /// Exit status, standard output, standard error.
    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        let out = self.0.take().unwrap().wait_with_output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Of a sum or a stream.
pub(crate) fn bytes(v: &Value) -> u64 {
    v["bytes"].as_u64().unwrap()
}
