//! The thread that has the socket: waits for a front-end or goes to it, and listens to what it says.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{Control, Refusal};
use super::session::{Shared, wake};
use super::{Options, socket};
use crate::Error;

/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(500);

/// A port's control thread. Ends with the last half of the port, and takes the socket with it.
pub(super) struct Link {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why the thread stops listening to somebody.
enum End {
    /// The port is detached.
    Stopped,
    /// The front-end has hung up, or said something that makes no sense.
    Lost,
    /// The guest broke the rules: it does not get another chance.
    Broken,
}

/// What the thread has.
struct Listening {
    name: String,
    options: Options,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl Link {
    /// Listens on the socket, or begins to knock at it.
    pub(super) fn start(name: &str, options: Options, shared: Arc<Shared>) -> Result<Self, Error> {
        let listener = if options.client { None } else { Some(listen(name, &options.path)?) };
        let stop = Arc::<AtomicBool>::default();
        let listening =
            Listening { name: name.to_owned(), options, shared: shared.clone(), stop: stop.clone() };
        let builder = std::thread::Builder::new().name(format!("{name}-control"));
        let thread = builder
            .spawn(move || listening.run(listener.as_ref()))
            .map_err(|e| Error::io(name, "starting a thread", e))?;
        Ok(Self { shared, stop, thread: Some(thread) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        wake(&self.shared.control);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens on a socket of ours, which nobody else may use. One that nobody listens on any more is replaced.
fn listen(name: &str, path: &Path) -> Result<UnixListener, Error> {
    if socket::dial(path).is_ok() {
        let what = format!("somebody listens on {} (try: another path=)", path.display());
        return Err(Error::Taken { name: name.to_owned(), what });
    }
    let is_socket = std::fs::symlink_metadata(path)
        .is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type()));
    if is_socket {
        let _ = std::fs::remove_file(path);
    }
    let failed = |e: io::Error| Error::Invalid {
        name: name.to_owned(),
        what: format!("path={}: {e}", path.display()),
    };
    let listener = UnixListener::bind(path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

impl Listening {
    fn run(self, listener: Option<&UnixListener>) {
        while let Some(front_end) = self.next(listener) {
            let end = self.serve(&front_end);
            drop(front_end);
            if !matches!(end, End::Lost) {
                break;
            }
            if listener.is_none() {
                self.wait(None, Some(RETRY));
            }
        }
        if listener.is_some() {
            let _ = std::fs::remove_file(&self.options.path);
        }
    }

    /// The next front-end, or `None` when the port is detached.
    fn next(&self, listener: Option<&UnixListener>) -> Option<UnixStream> {
        while !self.stop.load(Ordering::Acquire) {
            let front_end = match listener {
                Some(listener) => {
                    self.wait(Some(listener.as_fd()), None);
                    if self.stop.load(Ordering::Acquire) {
                        return None;
                    }
                    listener.accept().map(|(front_end, _)| front_end)
                }
                None => socket::dial(&self.options.path),
            };
            match front_end {
                Ok(front_end) => return Some(front_end),
                Err(e) if listener.is_some() && e.kind() == io::ErrorKind::WouldBlock => {} // something else woke us
                Err(_) => self.wait(None, Some(RETRY)),
            }
        }
        None
    }

    /// Waits for this descriptor, for a word to control, or for the time to pass.
    fn wait(&self, fd: Option<BorrowedFd<'_>>, time: Option<Duration>) {
        let control = self.shared.control.as_fd();
        let mut fds = vec![PollFd::from_borrowed_fd(control, PollFlags::IN)];
        fds.extend(fd.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let _ = poll(&mut fds, time.as_ref());
        let mut count = [0; 8];
        let _ = rustix::io::read(control, &mut count); // EAGAIN: nothing was said
    }

    /// Listens to a front-end until it hangs up or is not to be listened to.
    fn serve(&self, front_end: &UnixStream) -> End {
        if socket::open(front_end).is_err() {
            return End::Lost;
        }
        let mut control = Control::new(&self.name, self.options.clone(), self.shared.clone());
        loop {
            self.wait(Some(front_end.as_fd()), None);
            if self.stop.load(Ordering::Acquire) {
                return End::Stopped;
            }
            if let Some(broken) = self.shared.broken() {
                tracing::warn!("{}: the guest lost its port: {broken}", self.name);
                return End::Broken;
            }
            match self.hear(front_end, &mut control) {
                Ok(true) => {}
                Ok(false) => return End::Lost,
                Err(e) => {
                    tracing::warn!("{}: {e}", self.name);
                    return End::Lost;
                }
            }
        }
    }

    /// Carries out one request, if one is there; false when the front-end has hung up.
    fn hear(
        &self,
        front_end: &UnixStream,
        control: &mut Control,
    ) -> Result<bool, Box<dyn std::error::Error>> {
        let mut ready = [PollFd::new(front_end, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !poll(&mut ready, Some(&now)).is_ok_and(|ready| ready > 0) {
            return Ok(true); // it was something else that woke us
        }
        let Some(letter) = socket::read(front_end)? else { return Ok(false) };
        let request = letter.header.request;
        let reply = control.request(request, letter.header.needs_reply(), &letter.payload, letter.fds);
        if let Some(reply) = reply.map_err(|e: Refusal| format!("request {request}: {e}"))? {
            socket::reply(front_end, request, reply)?;
        }
        Ok(true)
    }
}
