//! The listening end: a thread that accepts, and a thread for each client.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::is_trusted;
use super::message::Reply;
use super::place::Place;
use super::session::{self, WRITE_TIMEOUT};
use crate::appliance::Appliance;

/// Most clients at a time. A client is a thread and a descriptor or two.
const MAX_CLIENTS: usize = 64;

/// The control socket, open. Dropping this removes the socket.
pub struct Server {
    place: Place,
    guests: Arc<Guests>,
}

/// Who is there.
#[derive(Default)]
struct Guests {
    clients: AtomicUsize,
    /// Nobody is let in any more.
    closed: AtomicBool,
}

/// One client, counted for as long as this lives.
struct Counted(Arc<Guests>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
    }
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
        let guests = Arc::<Guests>::default();
        let server = Self { place: place.clone(), guests: guests.clone() };
        let appliance = appliance.clone();
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &appliance, &guests))?;
        Ok(server)
    }

    /// Clients connected now.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.guests.clients.load(Ordering::SeqCst)
    }

    /// Closes the door if nobody is there, and says whether it did: a client that comes from now on is hung up
    /// on, and finds another daemon.
    #[must_use]
    pub fn close_if_alone(&self) -> bool {
        // A client counts itself and then looks at the door; here the door is closed and then they are counted.
        self.guests.closed.store(true, Ordering::SeqCst);
        let alone = self.clients() == 0;
        self.guests.closed.store(alone, Ordering::SeqCst);
        alone
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.place.socket());
    }
}

fn accept(listener: &UnixListener, appliance: &Arc<Appliance>, guests: &Arc<Guests>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let before = guests.clients.fetch_add(1, Ordering::SeqCst);
                let counted = Counted(guests.clone());
                if !guests.closed.load(Ordering::SeqCst) {
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

fn admit(stream: UnixStream, before: usize, counted: Counted, appliance: Arc<Appliance>) {
    if !is_trusted(&stream) {
        refuse(&stream, "only the user who started valed, or root, may use it");
    } else if before >= MAX_CLIENTS {
        refuse(&stream, "too many clients (64)");
    } else {
        let thread = std::thread::Builder::new().name("client".to_owned());
        let spawned = thread.spawn(move || {
            session::run(&stream, &appliance);
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
