//! Network namespaces for tests: made fresh, entered by one thread, gone with it.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::thread::UnshareFlags;

/// One test at a time: a child that has forked and not yet become another program holds every descriptor of this
/// process, and with them the TAPs, programs and queues that a test beside its own has just given back.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `test` on a thread of its own in a fresh network namespace without IPv6, so that no frame is in there
/// but the test's. Everything made inside is gone when the thread and its descriptors are, also after a panic.
/// No other test of the process is in a namespace meanwhile.
///
/// Says so and returns when the caller is not root; as root it runs or panics, it never skips.
///
/// # Panics
/// If `test` does, or as root if the namespace cannot be made.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: a network namespace takes root");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(panic) = beside(test).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `work` on a thread of its own in a fresh network namespace, beside the one of the test that calls this.
/// The thread panics if the namespace cannot be made.
pub fn beside(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::spawn(|| {
        enter();
        work();
    })
}

/// Puts the calling thread into a fresh network namespace.
///
/// # Panics
/// If it cannot be made.
pub(super) fn enter() {
    // SAFETY: only the network namespace of this thread changes; it shares nothing through it.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("unshare the network namespace");
    // Which namespace this file belongs to is decided by the thread that opens it.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").expect("switch IPv6 off");
    ip("link set lo up");
}

/// Runs `ip` with these arguments, separated by spaces, in the namespace of the calling thread.
///
/// # Panics
/// If it fails, with what it said.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("run ip (iproute2)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}

/// What `ip -d link` says of an interface; nothing if there is none.
///
/// # Panics
/// If there is no `ip`.
#[must_use]
pub fn link_says(name: &str) -> String {
    let output = Command::new("ip").args(["-d", "link", "show", name]).output().expect("run ip (iproute2)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a veth pair, both ends up.
///
/// # Panics
/// If it cannot be made.
pub fn veth(one: &str, other: &str) {
    ip(&format!("link add {one} type veth peer name {other}"));
    ip(&format!("link set {one} up"));
    ip(&format!("link set {other} up"));
}
