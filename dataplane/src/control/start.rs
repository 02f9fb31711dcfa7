//! Starting the daemon when it is needed, as tmux does.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Client, Error};
use super::message::Request;
use super::place::{Place, private_file};

/// How long the daemon may take to answer: it starts in milliseconds, on a machine under load in a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// A log longer than this is begun anew, bytes.
const LOG_MAX: u64 = 1 << 20;
/// How long one that somebody else has just started may take to answer.
const SOON: Duration = Duration::from_millis(500);
/// Times that a daemon is started which leaves at once.
const STARTS: u32 = 3;
/// From try to try.
const STEP: Duration = Duration::from_millis(5);

/// Connects to the daemon of `place`, starting one if there is none.
///
/// # Errors
/// If there is none and it cannot be started.
pub fn connect(place: &Place) -> Result<Client, Error> {
    match greet(place) {
        Err(Error::NoDaemon) => start(place),
        other => other,
    }
}

/// Connects, and makes sure that the daemon stays: one that was about to leave hangs up instead of answering,
/// and is as good as none.
fn greet(place: &Place) -> Result<Client, Error> {
    let mut client = Client::connect(place)?;
    match client.ask::<serde::de::IgnoredAny>(&Request::Hello {}) {
        Ok(_) => Ok(client),
        Err(Error::HungUp) => Err(Error::NoDaemon),
        Err(e) => Err(e),
    }
}

fn start(place: &Place) -> Result<Client, Error> {
    place.prepare()?;
    let mut child = spawn(place)?;
    let begin = Instant::now();
    let (mut started, mut exited) = (1, None);
    while begin.elapsed() < PATIENCE {
        match greet(place) {
            Err(Error::NoDaemon) => {}
            other => return other,
        }
        if exited.is_none() && child.try_wait()?.is_some() {
            exited = Some(Instant::now());
        }
        // It may have found that another tool's daemon was faster, which will answer soon: or not, and then it is for
        // us to start one after all.
        if exited.is_some_and(|t: Instant| t.elapsed() > SOON) {
            if started == STARTS {
                return Err(Error::Start(last_words(place)));
            }
            (child, exited) = (spawn(place)?, None);
            started += 1;
        }
        std::thread::sleep(STEP);
    }
    Err(Error::Start(format!("no answer at {}; see {}", place.socket().display(), place.log().display())))
}

fn spawn(place: &Place) -> Result<Child, Error> {
    let program = beside("valed");
    let log = private_file().append(true).open(place.log());
    let log = log.map_err(|e| Error::Start(format!("{}: {e}", place.log().display())))?;
    if log.metadata()?.len() > LOG_MAX {
        log.set_len(0)?;
    }
    Command::new(&program)
        .arg("--on-demand")
        .arg("--socket")
        .arg(place.socket())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0) // the terminal's ^C is for the tool
        .spawn()
        .map_err(|e| Error::Start(format!("{}: {e}", program.display())))
}

/// The program of this name in the directory of the running one; by `PATH` if it is not there.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().map(|d| d.join(name)).filter(|p| p.exists()).unwrap_or_else(|| name.into())
}

fn last_words(place: &Place) -> String {
    let log = std::fs::read_to_string(place.log()).unwrap_or_default();
    log.lines().last().map_or_else(|| "it left without a word".to_owned(), str::to_owned)
}
