//! The control socket: JSON lines over a unix stream socket that only its owner may use.

pub mod client;
#[cfg(any(test, feature = "hostile"))]
pub mod hostile;
mod hosting;
pub mod lines;
pub mod message;
pub mod place;
pub mod server;
mod session;
pub mod start;
mod visitors;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

/// Whether the process at the other end is in another network namespace than this one, as far as we may know.
fn is_elsewhere(stream: &UnixStream) -> bool {
    let namespace = |process: &str| fs::metadata(format!("/proc/{process}/ns/net")).ok().map(|m| m.ino());
    let peer = socket_peercred(stream).ok().and_then(|peer| namespace(&peer.pid.to_string()));
    peer.is_some_and(|theirs| namespace("self").is_some_and(|ours| ours != theirs))
}

/// Whether the process at the other end is this user's, or root's.
fn is_trusted(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.is_root() || peer.uid == geteuid())
}
