//! For tests of ports that others come to by a unix socket.

use std::fs::{read_dir, read_to_string};
use std::path::PathBuf;
use std::process::Command;

use ports::{Burst, Frame, Port};
use tempfile::TempDir;

pub(crate) use ports::contract::eventually;

/// A directory for sockets, gone with it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        Self(tempfile::Builder::new().prefix(&format!("vale-{name}-")).tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Takes what waits in the port and gives it back.
pub(crate) fn take(port: &mut Port) -> Vec<Vec<u8>> {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(Frame::to_vec).collect();
    drop(burst);
    port.rx.release(frames.len());
    port.tx.flush();
    frames
}

/// The same; how many frames that was, empty ones left out.
pub(crate) fn poll(port: &mut Port) -> usize {
    take(port).iter().filter(|frame| !frame.is_empty()).count()
}

/// Transmits frames once; how many were delivered.
pub(crate) fn send(port: &mut Port, frames: usize) -> u64 {
    let bytes = [7; 60];
    let sent = port.tx.transmit(&vec![Frame::new(&bytes); frames]);
    port.tx.flush();
    sent.frames
}

/// What a process holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    descriptors: usize,
    threads: usize,
    /// Mappings of memory that others have, too.
    pub(crate) memories: usize,
}

/// What this process holds.
pub(crate) fn held() -> Held {
    let count = |dir: &str| read_dir(dir).map_or(0, Iterator::count);
    let maps = read_to_string("/proc/self/maps").unwrap_or_default();
    Held {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        memories: maps.lines().filter(|map| map.contains("memfd:")).count(),
    }
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
