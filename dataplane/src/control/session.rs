//! One client's conversation: request, reply, request, reply.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ports::Time;
use serde::Serialize;
use serde_json::Value;

use super::hosting;
use super::lines::{Lines, MAX_REQUEST};
use super::message::{Reply, Request};
use super::server::Counted;
use crate::appliance::{Appliance, Error};
use crate::name::ValePort;

/// A client that does not read for this long is cut.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
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
            Ok(Request::Host { on, core, app }) => {
                counted.hosts();
                return hosting::run(stream, lines, appliance, &on, core, app);
            }
            Ok(request) => {
                let reply = answer(request, appliance).unwrap_or_else(|e| Reply::Error(e.to_string()));
                say(stream, &reply)?;
            }
            Err(e) => say(stream, &Reply::Error(format!("no request: {e}")))?,
        }
    }
}

/// Writes one line.
pub(super) fn say(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn answer(request: Request, appliance: &Appliance) -> Result<Reply, Error> {
    match request {
        Request::Hello {} => Ok(done()),
        Request::Attach { port, host } => Ok(ok(&appliance.attach(&port.parse::<ValePort>()?, host)?)),
        Request::Detach { port } => appliance.detach(&port.parse::<ValePort>()?).map(|()| done()),
        Request::List {} => Ok(ok(&appliance.list())),
        Request::Stats { of } => Ok(ok(&appliance.stats(of.as_deref())?)),
        Request::Fdb { switch } => Ok(ok(&appliance.fdb(switch.as_deref(), Time::now())?)),
        Request::Create { name } => appliance.create(&name).map(|()| done()),
        Request::Remove { name } => appliance.remove(&name).map(|()| done()),
        Request::Stop {} | Request::Host { .. } => Ok(Reply::Error("no app is hosted here".to_owned())),
    }
}

/// Done, and there is nothing to tell.
pub(super) fn done() -> Reply {
    Reply::Ok(Value::Object(serde_json::Map::new()))
}

fn ok(body: &impl Serialize) -> Reply {
    serde_json::to_value(body).map_or_else(|e| Reply::Error(e.to_string()), Reply::Ok)
}
