//! Network namespaces for tests: made fresh, entered by one thread, gone with it.

use std::process::Command;
use std::thread;

use rustix::thread::UnshareFlags;

/// Runs `test` on a thread of its own in a fresh network namespace without IPv6, so that no frame is in there
/// but the test's. Everything made inside is gone when the thread and its descriptors are, also after a panic.
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
    let body = || {
        enter();
        test();
    };
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
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

/// Makes a veth pair, both ends up.
///
/// # Panics
/// If it cannot be made.
pub fn veth(one: &str, other: &str) {
    ip(&format!("link add {one} type veth peer name {other}"));
    ip(&format!("link set {one} up"));
    ip(&format!("link set {other} up"));
}
