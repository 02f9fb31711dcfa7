//! One end of the trials: a port of a switch, made for each trial, or a port of our own, opened once.

use std::io::{self, Write};
use std::thread::JoinHandle;

use crossbeam::channel::Receiver;
use pktgen::search::{Trial, TrialEvent};
use ports::{Mac, Port, identity};
use serde::de::IgnoredAny;

use crate::control::client::{Client, Error as ClientError};
use crate::control::message::{Reply, Request, Said};
use crate::control::place::Place;
use crate::control::start;
use crate::direct::{Solo, Stopper};
use crate::name::{Backend, Name, PlainPort};
use crate::tool::Error;
use crate::worker::cores;
use crate::worker::idle::Policy;
use crate::{apps, backend};

/// Where one end of a trial runs, and on which core.
pub(super) struct End {
    core: Option<usize>,
    on: On,
}

enum On {
    /// A port of a switch, which is new, and so empty, for every trial.
    Hosted { name: String, station: Mac, place: Place },
    /// A port of our own; away while a trial runs on it.
    Direct { name: PlainPort, station: Mac, port: Option<Port> },
}

/// An end while its trial runs.
pub(super) enum Running {
    Hosted(Client),
    Direct { events: Receiver<apps::Said>, stopper: Stopper, thread: JoinHandle<Result<Port, cores::NoCore>> },
}

impl End {
    /// The port of this name, with what there is to say of it going to `notes`.
    pub(super) fn open(
        name: &str,
        core: Option<usize>,
        place: &Place,
        notes: &mut impl Write,
    ) -> Result<Self, Error> {
        let on = match name.parse()? {
            Name::Vale(port) => {
                let station = identity::station(&port.short());
                On::Hosted { name: name.to_owned(), station, place: place.clone() }
            }
            Name::Plain(PlainPort { port, source }) if source.backend == Backend::Pcap => {
                return Err(Error::App(format!("pcap:{port}: a capture is no port to search by")));
            }
            Name::Plain(plain) => {
                core.map(|core| cores::check(core, &cores::available())).transpose()?;
                let mut port = backend::open(&plain.port, &plain.source)?;
                port.notes.iter().try_for_each(|note| writeln!(notes, "{note}"))?;
                let station = port.mac.unwrap_or_else(|| identity::station(&plain.to_string()));
                port.mac = Some(station);
                On::Direct { name: plain, station, port: Some(port) }
            }
        };
        Ok(Self { core, on })
    }

    /// The station that frames to this end are for.
    pub(super) const fn station(&self) -> Mac {
        match self.on {
            On::Hosted { station, .. } | On::Direct { station, .. } => station,
        }
    }

    pub(super) const fn is_direct(&self) -> bool {
        matches!(self.on, On::Direct { .. })
    }

    /// The core for the other end: the one after this one's, if this one has one.
    pub(super) fn next_core(&self) -> Option<usize> {
        let (core, there) = (self.core?, cores::available());
        let at = there.iter().position(|c| *c == core).map_or(0, |at| at + 1);
        there.get(at).or_else(|| there.first()).copied()
    }

    /// Begins its part of a trial.
    pub(super) fn start(&mut self, trial: Trial) -> Result<Running, Error> {
        let (core, app) = (self.core, apps::Config::Trial(trial));
        match &mut self.on {
            On::Hosted { name, place, .. } => {
                let mut client = start::connect(place)?;
                let (on, app) = (name.clone(), Box::new(app));
                client.ask::<IgnoredAny>(&Request::Host { on, core, app, others: Vec::new() })?;
                Ok(Running::Hosted(client))
            }
            On::Direct { name, port, .. } => {
                let gone = || Error::App(format!("{}: the port is gone", name.port));
                let port = port.take().ok_or_else(gone)?;
                let (mut voices, events) = apps::Voice::of_threads([&app].into_iter());
                let voice = voices.pop().ok_or_else(gone)?;
                let app = app.build(&port, voice).map_err(Error::App)?;
                let solo = Solo::new(&name.port, port, app)?;
                let stopper = solo.stopper();
                let run = move || {
                    core.map_or(Ok(()), cores::pin)?;
                    Ok(solo.run(Policy::Adaptive))
                };
                let thread = std::thread::Builder::new().name("trial".to_owned()).spawn(run)?;
                Ok(Running::Direct { events, stopper, thread })
            }
        }
    }

    /// Waits until nothing of the trial is left.
    pub(super) fn end(&mut self, running: Running) -> Result<(), Error> {
        match (running, &mut self.on) {
            (Running::Hosted(mut client), _) => while next(&mut client)?.is_some() {},
            (Running::Direct { thread, .. }, On::Direct { port, .. }) => {
                *port = Some(thread.join().map_err(|_| io::Error::other("a trial failed"))??);
            }
            (Running::Direct { .. }, On::Hosted { .. }) => {}
        }
        Ok(())
    }
}

impl Running {
    /// The next thing that is said; `None` after the last.
    pub(super) fn hear(&mut self) -> Result<Option<TrialEvent>, Error> {
        match self {
            Self::Hosted(client) => next(client),
            Self::Direct { events, .. } => {
                Ok(events.recv().ok().and_then(|(_, event)| event.try_into().ok()))
            }
        }
    }

    /// Asks it to come to its end.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        match self {
            Self::Hosted(client) => Ok(client.say(&Request::Stop {})?),
            Self::Direct { stopper, .. } => {
                stopper.stop();
                Ok(())
            }
        }
    }
}

fn next(client: &mut Client) -> Result<Option<TrialEvent>, Error> {
    match client.hear()? {
        Reply::Event(Said { event, .. }) => Ok(Some(serde_json::from_value(event)?)),
        Reply::Done {} => Ok(None),
        Reply::Error(why) | Reply::Broken(why) => Err(ClientError::Refused(why).into()),
        Reply::Ok(_) => Err(ClientError::HungUp.into()),
    }
}
