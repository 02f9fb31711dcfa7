//! A client that hosts an app: events out, `stop` in, and the app goes when the client does.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, after, bounded, never, select, select_biased};
use ports::Port;

use super::lines::{Lines, say};
use super::message::{Reply, Request, Said, Thread};
use crate::appliance::{Appliance, Hosting};
use crate::apps::{self, Voice};
use crate::name::ValePort;

/// How long the app of a client that vanished may take to say goodbye to its peers. A server that hears nothing waits
/// for minutes, and turns others away meanwhile.
const PARTING: Duration = Duration::from_secs(1);

/// The client asks its app to come to an end.
struct Stop;

/// Hosts an app, with these threads, until it is done or its client is gone.
pub(super) fn run(
    stream: &UnixStream,
    lines: Lines<UnixStream>,
    appliance: &Arc<Appliance>,
    on: &str,
    threads: Vec<Thread>,
) -> io::Result<()> {
    // Others have nobody to say goodbye to, and their port's name is to be free at once.
    let has_peers = threads.iter().any(|thread| matches!(thread.app, apps::Config::Iperf(_)));
    let (voices, events) = Voice::of_threads(threads.iter().map(|thread| &thread.app));
    let hosting = match host(appliance, on, threads, voices) {
        Ok(hosting) => hosting,
        Err(e) => return say(stream, &Reply::Error(e)),
    };
    say(stream, &Reply::done())?;
    stream.set_read_timeout(None)?; // a client that watches its app has nothing to say
    let (sender, stops) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(|| listen(lines, sender));
        let ended = relay(stream, &hosting, &events, &stops);
        if ended.is_err() && has_peers {
            part(&hosting, &events);
        }
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
    threads: Vec<Thread>,
    voices: Vec<Voice>,
) -> Result<Hosting, String> {
    let name = on.parse::<ValePort>().map_err(|e| e.to_string())?;
    let program = threads.first().map_or("an app", |thread| thread.app.program());
    let cores = threads.iter().map(|thread| thread.core).collect::<Vec<_>>();
    let mut apps = threads.into_iter().zip(voices);
    let make = |_, port: &Port| match apps.next() {
        Some((thread, voice)) => thread.app.build(port, voice),
        None => Err("no such thread".to_owned()),
    };
    appliance.host_threads(&name, program, &cores, make).map_err(|e| e.to_string())
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
    events: &Receiver<apps::Said>,
    stops: &Receiver<Stop>,
) -> io::Result<()> {
    let mut closing = hosting.closing().clone();
    loop {
        // Why everything ends comes before what the app then hears from others that end, too.
        select_biased! {
            recv(closing) -> all => {
                closing = never(); // it is said once, or never if the port has gone
                if all.is_ok() {
                    say(stream, &Reply::Broken("valed was told to end".to_owned()))?;
                    hosting.stop();
                }
            },
            recv(stops) -> stop => match stop {
                Ok(Stop) => hosting.stop(),
                Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
            recv(events) -> event => match event {
                Ok(event) => tell(stream, &event)?,
                Err(_) => return Ok(()), // the app is gone, and has said everything
            },
            recv(hosting.retired()) -> retired => match retired {
                Ok(one) => drop(one),
                Err(_) => return events.try_iter().try_for_each(|event| tell(stream, &event)), // all are done
            },
        }
    }
}

/// Lets the app of a client that is gone come to its end by itself, with nobody to hear of it.
fn part(hosting: &Hosting, events: &Receiver<apps::Said>) {
    hosting.stop();
    let over = after(PARTING);
    loop {
        select! {
            recv(events) -> event => if event.is_err() { return },
            recv(hosting.retired()) -> retired => if retired.is_err() { return },
            recv(over) -> _ => return,
        }
    }
}

fn tell(stream: &UnixStream, (thread, event): &apps::Said) -> io::Result<()> {
    say(stream, &Reply::Event(Said { thread: *thread, event: serde_json::to_value(event)? }))
}
