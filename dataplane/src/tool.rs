//! Running an app for a program: hosted in the dataplane if it is to run on a port of a switch, else right here
//! on a port of its own.

use std::io;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use ports::{Port, identity};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::control::client::{self, Client};
use crate::control::message::{Reply, Request, Said, Thread};
use crate::control::place::Place;
use crate::control::start;
use crate::direct::{Solo, Stopper};
use crate::interrupt::on_interrupt;
use crate::name::{self, Name, PlainPort};
use crate::trouble::Watch;
use crate::worker::cores::{self, NoCore};
use crate::worker::idle::Policy;
use crate::{apps, backend, streams};

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
    /// The app's threads, each with a queue of the port to itself; at least one.
    pub threads: Vec<Thread>,
    /// The daemon's, for ports of switches.
    pub place: Place,
}

/// What there is to print.
#[derive(Debug)]
pub enum News<E> {
    /// The app has something to say.
    Event {
        /// The thread that says it, from 0.
        thread: usize,
        /// What it says.
        event: E,
    },
    /// The port is in trouble; one line for the user.
    Trouble(String),
    /// The port is no more, likewise: the app is about to end, and the program failed.
    Broken(String),
}

/// Runs a job to its end, or until SIGINT, SIGTERM or SIGHUP, and hands everything that the app has to say to `print`,
/// the last report included.
///
/// # Errors
/// If the app could not be started, or its port or daemon vanished under it, or `print` failed.
pub fn run<E>(job: Job, print: impl FnMut(News<E>) -> io::Result<()>) -> Result<(), Error>
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
    let mut others = job.threads;
    if others.is_empty() {
        return Ok(());
    }
    let Thread { core, app } = others.remove(0);
    let mut client = start::connect(&job.place)?;
    let speaker = client.speaker()?;
    on_interrupt(move || drop(speaker.say(&Request::Stop {})))?; // first: once it runs, it is to be stopped well
    client.ask::<IgnoredAny>(&Request::Host { on: job.on, core, app: Box::new(app), others })?;
    while let Some(news) = next_news(&mut client)? {
        print(news)?;
    }
    Ok(())
}

fn next_news<E: DeserializeOwned>(client: &mut Client) -> Result<Option<News<E>>, client::Error> {
    match client.hear()? {
        Reply::Event(Said { thread, event }) => {
            Ok(Some(News::Event { thread, event: serde_json::from_value(event)? }))
        }
        Reply::Broken(why) => Ok(Some(News::Broken(why))),
        Reply::Done {} => Ok(None),
        Reply::Error(why) => Err(client::Error::Refused(why)),
        Reply::Ok(_) => Err(client::Error::HungUp),
    }
}

fn direct<E: TryFrom<apps::Event>>(
    name: &PlainPort,
    job: Job,
    print: impl FnMut(News<E>) -> io::Result<()>,
) -> Result<(), Error> {
    let of_port = backend::core(&name.port, &name.source)?;
    let there = cores::available();
    let cores = job.threads.iter().map(|thread| thread.core.or(of_port));
    let cores = cores.map(|core| core.map(|c| cores::check(c, &there)).transpose());
    let cores = cores.collect::<Result<Vec<_>, _>>()?;
    let (on, mut gone) = (job.on.clone(), false);
    let (solos, mut watch, events) = open(name, job)?;
    let stoppers = solos.iter().map(Solo::stopper).collect::<Vec<_>>();
    let on_signal = stoppers.clone();
    on_interrupt(move || on_signal.iter().for_each(Stopper::stop))?;
    std::thread::scope(|scope| {
        let run = |(number, (solo, core)): (usize, (Solo, Option<usize>))| {
            let run = move || {
                core.map_or(Ok(()), cores::pin)?;
                drop(solo.run(Policy::Adaptive));
                Ok::<_, NoCore>(())
            };
            std::thread::Builder::new().name(format!("thread-{number}")).spawn_scoped(scope, run)
        };
        let running = solos.into_iter().zip(cores).enumerate().map(run).collect::<Result<Vec<_>, _>>();
        // Printing may block; polling must not. The end of the last app drops the last voice, and that ends the printing.
        let look = || {
            let trouble = watch.look();
            if !watch.is_gone() {
                return trouble.map(News::Trouble);
            }
            stoppers.iter().for_each(Stopper::stop); // the last report is still to come
            let line = format!("{on}: the interface is gone (try: ip link)");
            (!std::mem::replace(&mut gone, true)).then_some(News::Broken(line))
        };
        let printed = running.and_then(|running| Ok((report(&events, print, look)?, running)));
        stoppers.iter().for_each(Stopper::stop);
        for thread in printed?.1 {
            thread.join().map_err(|_| io::Error::other("a thread failed"))??;
        }
        Ok(())
    })
}

/// The app of each thread on its port, what watches the ports, and what the apps have to say.
fn open(name: &PlainPort, job: Job) -> Result<(Vec<Solo>, Watch, Receiver<apps::Said>), Error> {
    let mut ports = match &job.threads[..] {
        [one] => vec![backend::open_for(&name.port, &name.source, &one.app)?],
        several => backend::open_queues(&name.port, &name.source, several.len())?,
    };
    for port in &mut ports {
        port.notes.iter().for_each(streams::say);
        port.mac = port.mac.or_else(|| Some(identity::station(&name.to_string())));
    }
    let watch = Watch::new(name, &job.on, &ports);
    let (voices, events) = apps::Voice::of_threads(job.threads.iter().map(|thread| &thread.app));
    let solo = |((thread, port), voice): ((Thread, Port), apps::Voice)| {
        let app = thread.app.build(&port, voice).map_err(Error::App)?;
        Ok::<_, Error>(Solo::new(&name.port, port, app)?)
    };
    let solos = job.threads.into_iter().zip(ports).zip(voices).map(solo).collect::<Result<_, _>>()?;
    Ok((solos, watch, events))
}

/// Prints events until there will be no more, and once a second or so whether there is trouble.
fn report<E: TryFrom<apps::Event>>(
    events: &Receiver<apps::Said>,
    mut print: impl FnMut(News<E>) -> io::Result<()>,
    mut trouble: impl FnMut() -> Option<News<E>>,
) -> io::Result<()> {
    loop {
        match events.recv_timeout(Duration::from_secs(1)) {
            Ok((thread, event)) => {
                event.try_into().map_or(Ok(()), |event| print(News::Event { thread, event }))?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if let Some(trouble) = trouble() {
            print(trouble)?;
        }
    }
}
