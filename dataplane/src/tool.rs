//! Running an app for a program: hosted in the dataplane if it is to run on a port of a switch, else right here
//! on a port of its own.

use std::io;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::control::client::{self, Client};
use crate::control::message::{Reply, Request};
use crate::control::place::Place;
use crate::control::start;
use crate::direct::Solo;
use crate::interrupt::on_interrupt;
use crate::name::{self, Name, PlainPort};
use crate::trouble::Watchman;
use crate::worker::cores::{self, NoCore};
use crate::worker::idle::Policy;
use crate::{apps, backend, identity};

/// The app did not run, or not to its end. The text is for users.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is no port name.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// The port could not be opened.
    #[error(transparent)]
    Port(#[from] ports::Error),
    /// The core is not there.
    #[error(transparent)]
    Core(#[from] NoCore),
    /// The daemon says no, or is gone.
    #[error(transparent)]
    Control(#[from] client::Error),
    /// The app does not want to run like this.
    #[error("{0}")]
    App(String),
    /// A system call failed, or nobody reads what is printed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is to run, and where.
#[derive(Debug, Clone)]
pub struct Job {
    /// A port name.
    pub on: String,
    /// The core to run on, if it matters.
    pub core: Option<usize>,
    /// The app.
    pub app: apps::Config,
    /// The daemon's, for ports of switches.
    pub place: Place,
}

/// What there is to print.
#[derive(Debug)]
pub enum News<E> {
    /// The app has something to say.
    Event(E),
    /// The port is in trouble; one line for the user.
    Trouble(String),
    /// The port is no more, likewise: the app is about to end, and the program failed.
    Broken(String),
}

/// Runs a job to its end, or until SIGINT or SIGTERM, and hands everything that the app has to say to `print`,
/// the last report included.
///
/// # Errors
/// If the app could not be started, or its port or daemon vanished under it, or `print` failed.
pub fn run<E>(job: Job, print: impl FnMut(News<E>) -> io::Result<()> + Send) -> Result<(), Error>
where
    E: DeserializeOwned + TryFrom<apps::Event>,
{
    match job.on.parse()? {
        Name::Vale(_) => hosted(job, print),
        Name::Plain(port) => direct(&port, job, print),
    }
}

fn hosted<E: DeserializeOwned>(
    job: Job,
    mut print: impl FnMut(News<E>) -> io::Result<()>,
) -> Result<(), Error> {
    let mut client = start::connect(&job.place)?;
    let speaker = client.speaker()?;
    on_interrupt(move || drop(speaker.say(&Request::Stop {})))?; // first: once it runs, it is to be stopped well
    client.ask::<IgnoredAny>(&Request::Host { on: job.on, core: job.core, app: Box::new(job.app) })?;
    while let Some(event) = next_event(&mut client)? {
        print(News::Event(serde_json::from_value(event).map_err(client::Error::from)?))?;
    }
    Ok(())
}

fn next_event(client: &mut Client) -> Result<Option<serde_json::Value>, client::Error> {
    match client.hear()? {
        Reply::Event(event) => Ok(Some(event)),
        Reply::Done {} => Ok(None),
        Reply::Error(why) => Err(client::Error::Refused(why)),
        Reply::Ok(_) => Err(client::Error::HungUp),
    }
}

fn direct<E: TryFrom<apps::Event>>(
    name: &PlainPort,
    job: Job,
    mut print: impl FnMut(News<E>) -> io::Result<()> + Send,
) -> Result<(), Error> {
    let core = job.core.or(backend::core(&name.port, &name.source)?);
    core.map(|c| cores::check(c, &cores::available())).transpose()?;
    let mut port = backend::open_for(&name.port, &name.source, &job.app)?;
    let mut watchman = Watchman::new(&name.port, name.source.backend);
    for note in &port.notes {
        eprintln!("{note}");
    }
    port.mac = port.mac.or_else(|| Some(identity::station(&name.to_string())));
    let (voice, events) = apps::Voice::new();
    let counters = port.counters.clone();
    let app = job.app.build(&port, voice).map_err(Error::App)?;
    let solo = Solo::new(port, app)?;
    let (on_signal, on_trouble) = (solo.stopper(), solo.stopper());
    on_interrupt(move || on_signal.stop())?;
    std::thread::scope(|scope| {
        // Printing may block; polling must not. The app's end drops its voice, and that ends the printing.
        let printing = scope.spawn(move || {
            let mut gone = false;
            let printed = report(&events, &mut print, || {
                let trouble = watchman.look(&job.on, &name.port, &counters);
                if !watchman.is_gone() {
                    return trouble.map(News::Trouble);
                }
                on_trouble.stop(); // the last report is still to come
                let line = format!("{}: the interface is gone (try: ip link)", job.on);
                (!std::mem::replace(&mut gone, true)).then_some(News::Broken(line))
            });
            on_trouble.stop();
            printed
        });
        // Only now, since threads inherit it.
        match core.map(cores::pin).transpose() {
            Ok(_) => solo.run(Policy::Adaptive),
            Err(e) => return Err(io::Error::other(e)),
        }
        printing.join().unwrap_or_else(|_| Err(io::Error::other("the report failed")))
    })?;
    Ok(())
}

/// Prints events until there will be no more, and once a second or so whether there is trouble.
fn report<E: TryFrom<apps::Event>>(
    events: &Receiver<apps::Event>,
    mut print: impl FnMut(News<E>) -> io::Result<()>,
    mut trouble: impl FnMut() -> Option<News<E>>,
) -> io::Result<()> {
    loop {
        match events.recv_timeout(Duration::from_secs(1)) {
            Ok(event) => event.try_into().map_or(Ok(()), |event| print(News::Event(event)))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if let Some(trouble) = trouble() {
            print(trouble)?;
        }
    }
}
