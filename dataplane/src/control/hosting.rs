//! A client that hosts an app: events out, `stop` in, and the app goes when the client does.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded, select};

use super::lines::Lines;
use super::message::{Reply, Request};
use super::session::{done, say};
use crate::appliance::{Appliance, Hosting};
use crate::apps::{self, Event, Voice};
use crate::name::ValePort;

/// The client asks its app to come to an end.
struct Stop;

/// Hosts an app until it is done or its client is gone.
pub(super) fn run(
    stream: &UnixStream,
    lines: Lines<UnixStream>,
    appliance: &Arc<Appliance>,
    on: &str,
    core: Option<usize>,
    app: apps::Config,
) -> io::Result<()> {
    let (voice, events) = Voice::new();
    let hosting = match host(appliance, on, core, app, voice) {
        Ok(hosting) => hosting,
        Err(e) => return say(stream, &Reply::Error(e)),
    };
    say(stream, &done())?;
    stream.set_read_timeout(None)?; // a client that watches its app has nothing to say
    let (sender, stops) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(|| listen(lines, sender));
        let ended = relay(stream, &hosting, &events, &stops);
        // The port leaves before the client hears of the end: who asks for it next is to find the name free.
        drop(hosting);
        let told = ended.and_then(|()| say(stream, &Reply::Done {}));
        let _ = stream.shutdown(std::net::Shutdown::Both); // ends `listen`
        told
    })
}

fn host(
    appliance: &Arc<Appliance>,
    on: &str,
    core: Option<usize>,
    app: apps::Config,
    voice: Voice,
) -> Result<Hosting, String> {
    let name = on.parse::<ValePort>().map_err(|e| e.to_string())?;
    appliance.host(&name, core, |port| app.build(port, voice)).map_err(|e| e.to_string())
}

/// Hears the client out; returning (and dropping the sender) says that it is gone.
fn listen(mut lines: Lines<UnixStream>, stops: Sender<Stop>) {
    while let Ok(Some(line)) = lines.next_line() {
        match serde_json::from_str(line) {
            Ok(Request::Stop {}) => {
                let _ = stops.try_send(Stop); // asking twice is asking once
            }
            _ => return,
        }
    }
    drop(stops);
}

fn relay(
    stream: &UnixStream,
    hosting: &Hosting,
    events: &Receiver<Event>,
    stops: &Receiver<Stop>,
) -> io::Result<()> {
    loop {
        select! {
            recv(events) -> event => match event {
                Ok(event) => tell(stream, &event)?,
                Err(_) => return Ok(()), // the app is gone, and has said everything
            },
            recv(stops) -> stop => match stop {
                Ok(Stop) => hosting.stop(),
                Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
            recv(hosting.retired()) -> retired => {
                drop(retired);
                return events.try_iter().try_for_each(|event| tell(stream, &event));
            },
        }
    }
}

fn tell(stream: &UnixStream, event: &Event) -> io::Result<()> {
    say(stream, &Reply::Event(serde_json::to_value(event)?))
}
