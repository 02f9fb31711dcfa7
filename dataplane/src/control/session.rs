//! One client's conversation: request, reply, request, reply.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ports::Time;

use super::hosting;
use super::is_elsewhere;
use super::lines::{Lines, MAX_REQUEST, WRITE_TIMEOUT, say};
use super::message::{Reply, Request, Thread};
use super::visitors::Counted;
use crate::appliance::{Appliance, Error};
use crate::name::ValePort;

/// A client that asks nothing for this long is sent away; it is not to hold a place for ever.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves a client until it leaves, hosts an app to its end, or misbehaves.
pub(super) fn run(stream: &UnixStream, appliance: &Arc<Appliance>, counted: &mut Counted) {
    if let Err(e) = converse(stream, appliance, counted) {
        tracing::debug!("a client was cut: {e}");
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

fn converse(stream: &UnixStream, appliance: &Arc<Appliance>, counted: &mut Counted) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut lines = Lines::new(stream.try_clone()?, MAX_REQUEST);
    loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(e),
            Err(e) => {
                say(stream, &Reply::Error(e.to_string()))?;
                return Err(e);
            }
        };
        match serde_json::from_str(line) {
            Ok(Request::Host { on, core, app, mut others }) => {
                counted.hosts();
                others.insert(0, Thread { core, app: *app });
                return hosting::run(stream, lines, appliance, &on, others);
            }
            Ok(request) => {
                let reply = answer(request, appliance).unwrap_or_else(|e| refuse(&e, stream));
                say(stream, &reply)?;
            }
            Err(e) => say(stream, &Reply::Error(format!("no request: {e}")))?,
        }
    }
}

/// Says why not; of an interface that is another one here, or not there, also if the client's are not ours.
fn refuse(why: &Error, stream: &UnixStream) -> Reply {
    let pid = std::process::id();
    Reply::Error(if why.is_of_namespace() && is_elsewhere(stream) {
        format!(
            "{why}; valed is in another network namespace (try: nsenter -t {pid} -n, or another --socket)"
        )
    } else {
        why.to_string()
    })
}

fn answer(request: Request, appliance: &Appliance) -> Result<Reply, Error> {
    match request {
        Request::Hello {} => Ok(Reply::done()),
        Request::Attach { port, host } => {
            Ok(Reply::with(&appliance.attach(&port.parse::<ValePort>()?, host)?))
        }
        Request::Detach { port } => Ok(Reply::with(&appliance.detach(&port.parse::<ValePort>()?)?)),
        Request::List {} => Ok(Reply::with(&appliance.list())),
        Request::Stats { of } => Ok(Reply::with(&appliance.stats(of.as_deref())?)),
        Request::Fdb { switch } => Ok(Reply::with(&appliance.fdb(switch.as_deref(), Time::now())?)),
        Request::Create { name } => appliance.create(&name).map(|()| Reply::done()),
        Request::Remove { name } => appliance.remove(&name).map(|()| Reply::done()),
        Request::Stop {} | Request::Host { .. } => Ok(Reply::Error("no app is hosted here".to_owned())),
    }
}
