//! The apps that the dataplane hosts: how they cross the control socket, and how they are made.

use std::path::Path;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use pktgen::search::{Probe, Trial, TrialEvent};
use ports::pcap::Capture;
use ports::{App, Port, Time, identity};
use serde::{Deserialize, Serialize};

/// Which app, and what it is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// A generator or receiver of frames.
    Pktgen(pktgen::Config),
    /// A TCP endpoint that speaks iperf3.
    Iperf(iperf_endpoint::Config),
    /// One end of a trial.
    Trial(Trial),
}

/// What an app has to say. In JSON it is the app's own event: who started the app knows which it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// Of a generator.
    Pktgen(pktgen::Event),
    /// Of an endpoint.
    Iperf(iperf_endpoint::Event),
    /// Of an end of a trial.
    Trial(TrialEvent),
}

impl Event {
    /// Whether another one like it will follow soon.
    const fn comes_again(&self) -> bool {
        use {iperf_endpoint::Event as Iperf, pktgen::Event as Pktgen};
        matches!(
            self,
            Self::Pktgen(
                Pktgen::Interval { .. }
                    | Pktgen::Waiting
                    | Pktgen::Ping(_)
                    | Pktgen::Delay(_)
                    | Pktgen::Order(_)
            ) | Self::Iperf(Iperf::Interval(_))
        )
    }

    /// Whether it is a frame shown, of which there may be thousands at once.
    const fn is_dump(&self) -> bool {
        matches!(self, Self::Pktgen(pktgen::Event::Dump { .. }))
    }
}

impl TryFrom<Event> for pktgen::Event {
    type Error = ();

    fn try_from(event: Event) -> Result<Self, ()> {
        if let Event::Pktgen(event) = event { Ok(event) } else { Err(()) }
    }
}

impl TryFrom<Event> for TrialEvent {
    type Error = ();

    fn try_from(event: Event) -> Result<Self, ()> {
        if let Event::Trial(event) = event { Ok(event) } else { Err(()) }
    }
}

impl TryFrom<Event> for iperf_endpoint::Event {
    type Error = ();

    fn try_from(event: Event) -> Result<Self, ()> {
        if let Event::Iperf(event) = event { Ok(event) } else { Err(()) }
    }
}

/// Events that may wait to be printed or sent, besides frames shown.
const EVENTS: usize = 1024;
/// Of these, how many may be such as come again.
const INTERVALS: usize = EVENTS / 2;
/// Frames that may wait besides, where frames are shown: what a thread shows in a second, so that a short run at full speed
/// is shown whole. At 2 KiB a frame they take 16 MiB at the most.
const DUMPS: usize = pktgen::Config::DUMPS as usize;

/// An event, and the number of the thread that has it to say, from 0.
pub type Said = (usize, Event);

/// Where the events of one thread of an app go. Saying something never waits: while nobody listens, reports of
/// intervals and frames shown are left out first, then what is oldest, so that the last word is always heard.
pub struct Voice {
    thread: usize,
    /// Frames shown that may wait.
    dumps: usize,
    events: Sender<Said>,
    waiting: Receiver<Said>,
}

impl Voice {
    /// A voice for each thread of such an app, and their listener's end, which hears everything that was said before it
    /// hears the end.
    #[must_use]
    pub fn of_threads<'a>(apps: impl Iterator<Item = &'a Config>) -> (Vec<Self>, Receiver<Said>) {
        let shows = apps.map(Config::shows_frames).collect::<Vec<_>>();
        let dumps = if shows.contains(&true) { DUMPS } else { 0 };
        let (events, waiting) = bounded(dumps + EVENTS);
        let voice = |thread| Self { thread, dumps, events: events.clone(), waiting: waiting.clone() };
        ((0..shows.len()).map(voice).collect(), waiting)
    }

    fn say(&self, event: Event) {
        let waiting = self.events.len();
        let is_late = (event.comes_again() && waiting >= self.dumps + INTERVALS)
            // The first words of a run wait beside them.
            || (event.is_dump() && waiting >= self.dumps + INTERVALS / 2);
        if is_late {
            return;
        }
        let Err(TrySendError::Full(event)) = self.events.try_send((self.thread, event)) else { return };
        drop(self.waiting.try_recv());
        let _ = self.events.try_send(event); // there is room: nobody else says anything here
    }
}

/// Which halves of a port an app uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// It is about frames that come in.
    pub receives: bool,
    /// It sends some.
    pub transmits: bool,
}

impl Config {
    /// Which halves of its port the app uses.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Pktgen(config) => {
                let function = config.function;
                Direction { receives: function.receives(), transmits: function.transmits() }
            }
            Self::Trial(trial) => Direction { receives: trial.receives, transmits: trial.sends },
            Self::Iperf(_) => Direction { receives: true, transmits: true },
        }
    }

    /// Whether it shows frames (`-X`).
    const fn shows_frames(&self) -> bool {
        matches!(self, Self::Pktgen(config) if config.dump)
    }

    /// What the user calls the app: the program that runs it.
    #[must_use]
    pub const fn program(&self) -> &'static str {
        match self {
            Self::Pktgen(_) | Self::Trial(_) => "pkt-gen",
            Self::Iperf(_) => "iperf-endpoint",
        }
    }

    /// The file that the app sends, if it does.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Pktgen(config) => config.replay.as_ref().map(|replay| replay.file.as_path()),
            Self::Iperf(_) | Self::Trial(_) => None,
        }
    }

    /// The app, for this port. What it has to say goes to `voice`.
    ///
    /// # Errors
    /// If the config is out of range, or does not suit the port, or names a file that cannot be used. Who hosts an
    /// app opens files for whoever asks: the control socket is open to the owner of the daemon and to root only.
    pub fn build(self, port: &Port, voice: Voice) -> Result<Box<dyn App>, String> {
        match self {
            Self::Pktgen(config) => {
                config.check_port(port.tx.capabilities()).map_err(|e| e.to_string())?;
                let sink = Box::new(move |event| voice.say(Event::Pktgen(event)));
                let capture = config.replay.as_ref().map(|replay| Capture::load(&replay.file));
                let app = match capture.transpose().map_err(|e| e.to_string())? {
                    Some(capture) => pktgen::Generator::replaying(config, port.mac, Arc::new(capture), sink),
                    None => pktgen::Generator::new(config, port.mac, sink),
                };
                Ok(Box::new(app.map_err(|e| e.to_string())?.with_clock(Time::now)))
            }
            Self::Trial(trial) => {
                trial.config.check_port(port.tx.capabilities()).map_err(|e| e.to_string())?;
                let sink = Box::new(move |event| voice.say(Event::Trial(event)));
                let app = Probe::new(trial, port.mac, sink).map_err(|e| e.to_string())?;
                Ok(Box::new(app))
            }
            Self::Iperf(config) => {
                let mac = port.mac.unwrap_or_else(|| identity::station(&config.address.to_string()));
                let sink = Box::new(move |event| voice.say(Event::Iperf(event)));
                let app = iperf_endpoint::Endpoint::new(config, mac, port.tx.capabilities(), sink);
                Ok(Box::new(app.map_err(|e| e.to_string())?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pktgen::Event as Pktgen;

    fn voice() -> (Voice, Receiver<Said>) {
        voice_of(pktgen::Config::default())
    }

    fn voice_of(config: pktgen::Config) -> (Voice, Receiver<Said>) {
        let (mut voices, events) = Voice::of_threads([Config::Pktgen(config)].iter());
        (voices.remove(0), events)
    }

    #[test]
    fn a_short_run_is_shown_whole_and_of_a_flood_not_all() {
        let (voice, events) = voice_of(pktgen::Config { dump: true, ..pktgen::Config::default() });
        let dump = |number| Event::Pktgen(Pktgen::Dump { number, len: 60, bytes: vec![0; 60] });
        voice.say(last(0));
        (0..5000).for_each(|number| voice.say(dump(number)));
        assert_eq!(events.len(), 5001);
        (5000..20_000).for_each(|number| voice.say(dump(number)));
        voice.say(interval(1));
        voice.say(last(1));
        assert_eq!(
            events.len(),
            DUMPS + INTERVALS / 2 + 2,
            "frames do not keep out what else there is to say"
        );
    }

    fn interval(usec: u64) -> Event {
        Event::Pktgen(Pktgen::Interval { packets: 0, bytes: 0, usec, batches: 0, min_space: None })
    }

    fn last(packets: u64) -> Event {
        Event::Pktgen(Pktgen::Final { packets, bytes: 0, events: 0, errors: 0, drops: 0, seconds: 0.0 })
    }

    #[test]
    fn the_last_word_is_heard_however_long_nobody_listened() {
        let (voice, events) = voice();
        (0..10_000).for_each(|usec| voice.say(interval(usec)));
        voice.say(last(7));
        drop(voice);
        let heard = events.iter().filter_map(|(_, e)| e.try_into().ok()).collect::<Vec<Pktgen>>();
        assert_eq!(heard.len(), INTERVALS + 1);
        assert!(matches!(
            heard[..],
            [Pktgen::Interval { usec: 0, .. }, .., Pktgen::Final { packets: 7, .. }]
        ));
    }

    #[test]
    fn among_words_that_are_said_once_the_oldest_go() {
        let (voice, events) = voice();
        let many = EVENTS as u64 + 10;
        (0..many).for_each(|n| voice.say(last(n)));
        let heard = events.try_iter().map(|e| match e {
            (0, Event::Pktgen(Pktgen::Final { packets, .. })) => packets,
            other => panic!("{other:?}"),
        });
        assert_eq!(heard.collect::<Vec<_>>(), (10..many).collect::<Vec<_>>());
    }
}
