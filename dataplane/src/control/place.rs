//! Where the control socket is, and the lock that makes one `valed` the only one there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::geteuid;

/// The variable that names the socket where `--socket` does not.
pub const ENV: &str = "VALE_SOCKET";

/// Longest path of a socket, bytes: `sun_path` of unix(7) with its NUL is 108.
const MAX_PATH: usize = 107;

/// The place is not usable. The text says which, why, and what to try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory that others could have prepared for us.
    #[error("{0}: not a directory of ours alone (try: --socket PATH, or remove it)")]
    Exposed(PathBuf),
    /// The user named a directory that is not there.
    #[error("{0}: no such directory (try: mkdir -p {0})")]
    NoDirectory(PathBuf),
    /// A path that the kernel has no room for.
    #[error("{0}: too long for a socket, which has {MAX_PATH} bytes at most (try: a shorter --socket)")]
    TooLong(PathBuf),
    /// Something that is no socket, and that we are not to remove.
    #[error("{0}: there already, and not a socket (try: another --socket, or remove it)")]
    Occupied(PathBuf),
    /// Another `valed` is there.
    #[error("{0}: valed is running there already (try: vale-ctl, or another --socket)")]
    Running(PathBuf),
    /// A system call failed.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// The control socket's path, and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    socket: PathBuf,
    /// The socket is in a directory of our own making, which nobody else may enter.
    private: bool,
}

impl Place {
    /// `explicit`, or `$VALE_SOCKET`, or the user's own: `/run/vale/vale.sock` for root, else
    /// `$XDG_RUNTIME_DIR/vale/vale.sock` or `/tmp/vale-UID/vale.sock`.
    #[must_use]
    pub fn new(explicit: Option<&Path>) -> Self {
        let variable = || std::env::var_os(ENV).filter(|path| !path.is_empty()).map(PathBuf::from);
        let named = explicit.map(Path::to_owned).or_else(variable);
        let uid = geteuid();
        match (named, std::env::var_os("XDG_RUNTIME_DIR")) {
            // Absolute, since a daemon started on demand leaves the directory it is started in.
            (Some(socket), _) => {
                Self { socket: std::path::absolute(&socket).unwrap_or(socket), private: false }
            }
            (None, _) if uid.is_root() => Self::inside(Path::new("/run/vale")),
            (None, Some(runtime)) => Self::inside(&Path::new(&runtime).join("vale")),
            (None, None) => Self::inside(Path::new(&format!("/tmp/vale-{}", uid.as_raw()))),
        }
    }

    fn inside(directory: &Path) -> Self {
        Self { socket: directory.join("vale.sock"), private: true }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What a `valed` that was started on demand has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.beside("log")
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = self.socket.clone().into_os_string();
        path.push(".");
        path.push(extension);
        PathBuf::from(path)
    }

    fn directory(&self) -> &Path {
        self.socket.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
    }

    /// Makes the directory where it is ours to make, and checks that nobody else can put a socket there.
    ///
    /// # Errors
    /// If it cannot be made, or is another user's, or open to others; or named by the user and not there.
    pub fn prepare(&self) -> Result<(), Error> {
        let directory = self.directory();
        if !self.private {
            // Named by the user, who answers for the directory.
            return if directory.is_dir() {
                self.check()
            } else {
                Err(Error::NoDirectory(directory.to_owned()))
            };
        }
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(at(directory, e)),
            _ => self.check(),
        }
    }

    /// Checks the path, and the directory without making it; one that is not there is as good as empty.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn check(&self) -> Result<(), Error> {
        if self.socket.as_os_str().len() > MAX_PATH {
            return Err(Error::TooLong(self.socket.clone()));
        }
        if std::fs::symlink_metadata(&self.socket).is_ok_and(|m| !m.file_type().is_socket()) {
            return Err(Error::Occupied(self.socket.clone()));
        }
        let directory = self.directory();
        match std::fs::symlink_metadata(directory) {
            _ if !self.private => Ok(()),
            Ok(m) if m.is_dir() && m.uid() == geteuid().as_raw() && m.mode() & 0o077 == 0 => Ok(()),
            Ok(_) => Err(Error::Exposed(directory.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(at(directory, e)),
        }
    }

    /// Takes the place: whoever holds the lock is the one `valed` of this socket. The kernel lets go of it
    /// when the process dies, however it dies.
    ///
    /// # Errors
    /// If another process holds it, or the file cannot be made.
    pub fn lock(&self) -> Result<Lock, Error> {
        self.prepare()?;
        let path = self.beside("lock");
        loop {
            let file = private_file().write(true).open(&path).map_err(|e| at(&path, e))?;
            match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Running(self.socket.clone())),
                other => other.map_err(|e| at(&path, e.into()))?,
            }
            // The last holder removes the file as it leaves: a lock on a file that nobody else will open is none.
            let held = file.metadata().map_err(|e| at(&path, e))?;
            if std::fs::metadata(&path).is_ok_and(|m| m.ino() == held.ino() && m.dev() == held.dev()) {
                let mut lock = Lock { path, file };
                lock.sign().map_err(|e| at(&lock.path, e))?;
                return Ok(lock);
            }
        }
    }
}

/// How files beside the socket are opened: made if they are not there, and no link of somebody else's followed.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn at(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}

/// The place is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Leaves the process number for people to read.
    fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{}", std::process::id())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_lock_a_place_and_nothing_left() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(Some(&dir.path().join("s")));
        let lock = place.lock().unwrap();
        assert!(matches!(place.lock(), Err(Error::Running(_))));
        drop(lock);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        place.lock().unwrap();
    }

    #[test]
    fn what_is_there_is_not_harmed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "precious").unwrap();
        for taken in [at("file"), dir.path().to_owned()] {
            assert!(matches!(Place::new(Some(&taken)).lock(), Err(Error::Occupied(_))));
        }
        std::os::unix::fs::symlink(at("file"), at("s.lock")).unwrap();
        assert!(matches!(Place::new(Some(&at("s"))).lock(), Err(Error::Io { .. })), "a link");
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "precious");
        let long = at(&"x".repeat(MAX_PATH));
        assert!(matches!(Place::new(Some(&long)).check(), Err(Error::TooLong(_))));
    }

    #[test]
    fn a_private_place_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::inside(&dir.path().join("vale"));
        place.check().unwrap();
        place.prepare().unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("vale")).unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(dir.path().join("vale"), PermissionsExt::from_mode(0o750)).unwrap();
        assert!(matches!(place.prepare(), Err(Error::Exposed(_))));
        std::fs::remove_dir(dir.path().join("vale")).unwrap();
        std::os::unix::fs::symlink("/tmp", dir.path().join("vale")).unwrap();
        assert!(matches!(place.lock(), Err(Error::Exposed(_))));
    }
}
