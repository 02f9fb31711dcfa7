//! For tests of ports that others come to by a unix socket.

use std::fs::read_dir;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ports::{Burst, Frame, Port, Time};

/// A directory for sockets, gone with it.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vale-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Polls until `done`, for up to a minute: machines are shared.
pub(crate) fn eventually(otherwise: &str, mut done: impl FnMut() -> bool) {
    let start = Time::now();
    while !done() {
        assert!(Time::now().since(start).as_secs() < 60, "{otherwise}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes what waits in the port and gives it back; how many frames that was, empty ones left out.
pub(crate) fn poll(port: &mut Port) -> usize {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames = burst.iter().map(|frame| frame.to_vec().len()).filter(|len| *len > 0).count();
    let n = burst.len();
    drop(burst);
    port.rx.release(n);
    port.tx.flush();
    frames
}

/// Transmits frames once; how many were delivered.
pub(crate) fn send(port: &mut Port, frames: usize) -> u64 {
    let bytes = [7; 60];
    let sent = port.tx.transmit(&vec![Frame::new(&bytes); frames]);
    port.tx.flush();
    sent.frames
}

/// Descriptors and threads of this process.
pub(crate) fn held() -> (usize, usize) {
    let count = |dir: &str| read_dir(dir).map_or(0, Iterator::count);
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// Whether this is the only test of its process. If not, it is run once more, alone: other tests have descriptors of their
/// own.
pub(crate) fn alone(test: &str) -> bool {
    if std::env::args().any(|a| a == test) {
        return true;
    }
    let alone = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test])
        .output()
        .expect("run this test");
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
    false
}
