//! Two kernels that talk TCP to each other through two ports: the nearest thing to a user.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::ip;
use super::namespace::enter;
use crate::{Burst, GsoType, Port, Time};

/// Bytes sent each way.
const BYTES: usize = 32 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen of the conversation on its way through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Longest frame, bytes.
    pub longest: usize,
    /// TCP super-frames.
    pub super_frames: u64,
    /// Frames with their checksum left to be completed.
    pub unfinished: u64,
}

/// Makes two namespaces with a port in each by `open`, which also makes `interface`, the one that the
/// namespace's kernel talks through. Joins the ports by a cable and sends 32 MiB of TCP each way.
///
/// # Panics
/// If a byte is lost or changed. The caller is root: see [`in_namespace`](super::in_namespace).
#[must_use]
pub fn conversation(interface: &'static str, open: fn() -> Port) -> Seen {
    let (mut one, listener) = kernel(interface, "10.88.181.1/24", open, || {
        let listener = TcpListener::bind("10.88.181.1:5001").expect("listen");
        move || listener.accept().expect("accept").0
    });
    let (mut other, caller) = kernel(interface, "10.88.181.2/24", open, || {
        || TcpStream::connect("10.88.181.1:5001").expect("connect")
    });
    let mut seen = Seen::default();
    let start = Time::now();
    while !(listener.is_finished() && caller.is_finished()) {
        let busy = pass(&mut one, &mut other, &mut seen) | pass(&mut other, &mut one, &mut seen);
        if !busy {
            assert!(Time::now().since(start) < PATIENCE, "the kernels do not come to an end");
            thread::yield_now();
        }
    }
    for thread in [listener, caller] {
        thread.join().expect("both kernels are content");
    }
    seen
}

/// A namespace with a port, and a thread that talks from it. `prepare` runs before the port is handed out.
fn kernel<T: FnOnce() -> TcpStream>(
    interface: &'static str,
    address: &'static str,
    open: fn() -> Port,
    prepare: impl FnOnce() -> T + Send + 'static,
) -> (Port, JoinHandle<()>) {
    let (to, from) = mpsc::channel();
    let thread = thread::spawn(move || {
        enter();
        let port = open();
        ip(&format!("address add {address} dev {interface}"));
        let connect = prepare();
        to.send(port).expect("the test waits for the port");
        talk(&connect());
    });
    (from.recv().expect("the namespace and its port come up"), thread)
}

/// Sends and receives at once, and checks every byte.
fn talk(stream: &TcpStream) {
    let pattern: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    thread::scope(|scope| {
        scope.spawn(|| (&*stream).write_all(&pattern).expect("send"));
        let mut received = vec![0; BYTES];
        (&*stream).read_exact(&mut received).expect("receive");
        assert!(received == pattern, "bytes changed on their way");
    });
}

fn pass(from: &mut Port, to: &mut Port, seen: &mut Seen) -> bool {
    let mut burst = Burst::new();
    from.rx.receive(&mut burst);
    let sent = to.tx.transmit(&burst);
    for frame in &burst[..sent.taken] {
        seen.longest = seen.longest.max(frame.len());
        seen.super_frames += u64::from(frame.offload().gso() == GsoType::Tcp4);
        seen.unfinished += u64::from(frame.offload().needs_csum());
    }
    assert_eq!(sent.frames, sent.taken as u64, "a frame of a kernel's failed");
    let busy = !burst.is_empty();
    drop(burst);
    from.rx.release(sent.taken);
    to.tx.flush();
    busy
}
