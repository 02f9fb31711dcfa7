//! The asking end of the control socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::is_trusted;
use super::lines::{self, Lines, MAX_REPLY};
use super::message::{Reply, Request};
use super::place::{self, Place};

/// Nothing came of a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon says no, and why.
    #[error("{0}")]
    Refused(String),
    /// There is no daemon.
    #[error("no valed is running (try: vale-ctl -a PORT, which starts it)")]
    NoDaemon,
    /// The daemon hung up in the middle.
    #[error("valed hung up")]
    HungUp,
    /// The socket belongs to somebody else.
    #[error("the control socket is another user's (try: --socket PATH)")]
    Foreign,
    /// The socket is not for us.
    #[error("{0}: not permitted (try: as the user who started valed, or another --socket)")]
    Denied(PathBuf),
    /// The place is not usable.
    #[error(transparent)]
    Place(#[from] place::Error),
    /// The daemon could not be started.
    #[error("valed did not start: {0}")]
    Start(String),
    /// The daemon answers something else than was asked.
    #[error("valed says something strange (is it of another version?): {0}")]
    Strange(#[from] serde_json::Error),
    /// A system call failed.
    #[error("control socket: {0}")]
    Io(#[from] io::Error),
}

/// A connection to the daemon.
pub struct Client {
    stream: UnixStream,
    lines: Lines<UnixStream>,
}

impl Client {
    /// Connects to the daemon of `place`.
    ///
    /// # Errors
    /// [`Error::NoDaemon`] if there is none.
    pub fn connect(place: &Place) -> Result<Self, Error> {
        place.check()?;
        let stream = UnixStream::connect(place.socket()).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NoDaemon,
            io::ErrorKind::PermissionDenied => Error::Denied(place.socket().to_owned()),
            _ => Error::Io(e),
        })?;
        if !is_trusted(&stream) {
            return Err(Error::Foreign);
        }
        let lines = Lines::new(stream.try_clone()?, MAX_REPLY);
        Ok(Self { stream, lines })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub fn say(&mut self, request: &Request) -> Result<(), Error> {
        say(&self.stream, request)
    }

    /// A second handle, for asking while another thread listens.
    ///
    /// # Errors
    /// If the process is out of descriptors.
    pub fn speaker(&self) -> Result<Speaker, Error> {
        Ok(Speaker(self.stream.try_clone()?))
    }

    /// The next reply.
    ///
    /// # Errors
    /// If the daemon is gone, or says what is no reply.
    pub fn hear(&mut self) -> Result<Reply, Error> {
        match self.lines.next_line() {
            Ok(Some(line)) => Ok(serde_json::from_str(line)?),
            Ok(None) => Err(Error::HungUp),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(Error::HungUp),
            Err(e) => Err(e.into()),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Error::Refused`] if the answer is no.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Error> {
        if let Err(e) = self.say(request) {
            // Who turns us away says why and hangs up, maybe before we have asked.
            return match self.hear() {
                Ok(Reply::Error(why)) => Err(Error::Refused(why)),
                _ => Err(e),
            };
        }
        match self.hear()? {
            Reply::Ok(body) => Ok(serde_json::from_value(body)?),
            Reply::Error(why) => Err(Error::Refused(why)),
            Reply::Event(_) | Reply::Broken(_) | Reply::Done {} => Err(Error::HungUp),
        }
    }
}

/// Says things to the daemon while another thread listens.
pub struct Speaker(UnixStream);

impl Speaker {
    /// Sends a request.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub fn say(&self, request: &Request) -> Result<(), Error> {
        say(&self.0, request)
    }

    /// Hangs up: the listening thread hears the end too.
    pub fn hang_up(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

fn say(stream: &UnixStream, request: &Request) -> Result<(), Error> {
    lines::say(stream, request).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::HungUp,
        _ => Error::Io(e),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_is_turned_away_hears_why() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(Some(&dir.path().join("s")));
        let listener = UnixListener::bind(place.socket()).unwrap();
        let mut client = Client::connect(&place).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        writeln!(other, r#"{{"error":"not you"}}"#).unwrap();
        drop(other);
        let why = client.ask::<serde_json::Value>(&Request::List {}).unwrap_err();
        assert!(matches!(&why, Error::Refused(why) if why == "not you"), "{why}");
    }
}
