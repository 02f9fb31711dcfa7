//! The listening end: a thread that accepts, and a thread for each client.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::is_trusted;
use super::lines::WRITE_TIMEOUT;
use super::message::Reply;
use super::place::Place;
use super::session;
use super::visitors::{Counted, Visitors};
use crate::appliance::Appliance;

/// Most clients at a time. A client is a thread and a descriptor or two.
const MAX_CLIENTS: usize = 64;

/// The control socket, open. Dropping this removes the socket.
pub struct Server {
    place: Place,
    visitors: Arc<Visitors>,
}

impl Server {
    /// Opens the control socket for `appliance`. The caller holds the [lock](Place::lock) of the place, so
    /// whatever socket lies there is a dead one's.
    ///
    /// # Errors
    /// If the socket or the thread cannot be had.
    pub fn open(place: &Place, appliance: &Arc<Appliance>) -> io::Result<Self> {
        match fs::remove_file(place.socket()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // The mask is the process's: no other thread makes files while valed starts.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(place.socket());
        rustix::process::umask(mask);
        let listener = bound?;
        fs::set_permissions(place.socket(), PermissionsExt::from_mode(0o600))?;
        let visitors = Arc::<Visitors>::default();
        let server = Self { place: place.clone(), visitors: visitors.clone() };
        let appliance = appliance.clone();
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &appliance, &visitors))?;
        Ok(server)
    }

    /// Clients connected now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.visitors.clients()
    }

    /// Closes the door, and waits until the apps of those inside have ended and had their last words, but no
    /// longer than `patience`.
    pub fn see_off_hosts(&self, patience: Duration) {
        self.visitors.close();
        let begin = Instant::now();
        while self.visitors.hosts() > 0 && begin.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Closes the door if nobody is there, and says whether it did: a client that comes from now on is hung up
    /// on, and finds another daemon.
    #[must_use]
    pub fn close_if_alone(&self) -> bool {
        self.visitors.close_if_alone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.place.socket());
    }
}

fn accept(listener: &UnixListener, appliance: &Arc<Appliance>, visitors: &Arc<Visitors>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let (counted, before) = Counted::new(visitors);
                if !visitors.are_shut_out() {
                    admit(stream, before, counted, appliance.clone());
                }
            }
            // Out of descriptors, most likely: whoever waits is served when somebody has left.
            Err(e) => {
                tracing::warn!("accept: {e}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn admit(stream: UnixStream, before: usize, mut counted: Counted, appliance: Arc<Appliance>) {
    if !is_trusted(&stream) {
        refuse(&stream, "only the user who started valed, or root, may use it");
    } else if before >= MAX_CLIENTS {
        refuse(&stream, "too many clients (64)");
    } else {
        let thread = std::thread::Builder::new().name("client".to_owned());
        let spawned = thread.spawn(move || {
            session::run(&stream, &appliance, &mut counted);
            drop(counted);
        });
        if let Err(e) = spawned {
            tracing::warn!("no thread for a client: {e}");
        }
    }
}

fn refuse(mut stream: &UnixStream, why: &str) {
    let _ = stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let reply = serde_json::to_string(&Reply::Error(why.to_owned())).unwrap_or_default();
    let _ = writeln!(stream, "{reply}");
}
