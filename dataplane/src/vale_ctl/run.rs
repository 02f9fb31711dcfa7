//! What each action asks of the daemon, and what it prints.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use ports::Rings;
use serde_json::Value;

use super::args::{Args, Verb};
use crate::control::client::{Client, Error};
use crate::control::message::{Attached, Detached, PortRow, Request, Station, SwitchStats};
use crate::control::place::Place;
use crate::control::start;
use crate::name::{Source, ValePort};
use crate::tables;

/// What is printed when an action came to nothing: netmap's `failed to attach vale0:eth9: ...`.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Self(e.to_string())
    }
}

/// The words of a failed action: netmap's, and then ours.
fn failed(to: &str, what: &str) -> impl Fn(Error) -> Failure {
    move |e| {
        let why = e.to_string();
        // The reason names its port or interface, which `what` names already.
        let port = what.parse::<ValePort>();
        let names = [
            what,
            &*port.as_ref().map_or(String::new(), ValePort::short),
            port.as_ref().map_or("", |p| &p.port),
        ]
        .map(|name| format!("{name}: "));
        let why = names.iter().find_map(|name| why.strip_prefix(&**name)).unwrap_or(&why);
        Failure(format!("failed to {to} {what}: {why}"))
    }
}

/// What of netmap's is not here, and what comes nearest.
fn refusal(args: &Args) -> Option<Failure> {
    const POLL: &str = "polling is valed's: try valed --cores and --idle, and core=N after @ for a port";
    const CONFIG: &str = "slots and rings are options of a port: try vale0:eth0@afxdp:slots=N,queues=N, \
                          vale0:x@virtual:slots=N, or queues=N of vhost-user and memif";
    const MEMORY: &str =
        "there are no regions to choose from: each port has memory of its own, which -g shows";
    let flags = [
        ("-p", &args.poll, POLL),
        ("-P", &args.unpoll, POLL),
        ("-C", &args.config, CONFIG),
        ("-m", &args.memory, MEMORY),
    ];
    let (flag, _, why) = flags.into_iter().find(|(_, given, _)| given.is_some())?;
    Some(Failure(format!("{flag}: not available ({why})")))
}

/// Does what the command line says.
///
/// # Errors
/// What to print before leaving with status 1.
pub fn run(args: Args, out: &mut impl Write, err: &mut impl Write) -> Result<(), Failure> {
    if let Some(refusal) = refusal(&args) {
        return Err(refusal);
    }
    let place = Place::new(args.socket.as_deref());
    let mut session = Session { place, json: args.json, verbose: args.verbose > 0, out, err };
    if let Some(verb) = args.verb {
        return session.verb(verb);
    }
    if let Some(port) = args.attach {
        session.attach_as_netmap(&port, false)
    } else if let Some(port) = args.attach_host {
        session.attach_as_netmap(&port, true)
    } else if let Some(port) = args.detach {
        session.detach(&port)
    } else if let Some(port) = args.list {
        session.list_one(&port)
    } else if let Some(name) = args.create {
        session.create(&name)
    } else if let Some(name) = args.remove {
        session.remove(&name)
    } else if let Some(port) = args.info {
        session.info(&port)
    } else {
        session.list()
    }
}

struct Session<'a, O, E> {
    place: Place,
    json: bool,
    verbose: bool,
    out: &'a mut O,
    err: &'a mut E,
}

impl<O: Write, E: Write> Session<'_, O, E> {
    fn verb(&mut self, verb: Verb) -> Result<(), Failure> {
        match verb {
            Verb::Attach { port, host } => self.attach_and_list(&port, host),
            Verb::Detach { port } => self.detach(&port),
            Verb::List => self.list(),
            Verb::Stats { of } => self.stats(of),
            Verb::Fdb { switch } => self.fdb(switch),
            Verb::Ports => self.ports(),
        }
    }

    fn attach(&mut self, port: &str, host: bool) -> Result<Vec<Attached>, Failure> {
        let failed = failed("attach", port);
        // Before a daemon is started for it.
        let name = port.parse::<ValePort>().map_err(|e| failed(Error::Refused(e.to_string())))?;
        let name = ValePort { source: name.source.map(Source::from_root), ..name };
        let request = Request::Attach { port: name.to_string(), host };
        let attached: Vec<Attached> =
            start::connect(&self.place).and_then(|mut c| c.ask(&request)).map_err(failed)?;
        for port in &attached {
            for note in &port.notes {
                writeln!(self.err, "{}: {note}", port.name)?;
            }
        }
        self.print_json(&attached)?;
        Ok(attached)
    }

    fn attach_and_list(&mut self, port: &str, host: bool) -> Result<(), Failure> {
        let attached = self.attach(port, host)?;
        for Attached { name, bridge_idx, port_idx, .. } in attached.iter().filter(|_| !self.json) {
            writeln!(self.out, "{name} bridge_idx {bridge_idx} port_idx {port_idx}")?;
        }
        Ok(())
    }

    /// Of an interface and its host stack, netmap has the interface's number to tell.
    fn attach_as_netmap(&mut self, port: &str, host: bool) -> Result<(), Failure> {
        let attached = self.attach(port, host)?;
        attached.first().map_or(Ok(()), |port| self.print_index(port.port_idx))
    }

    /// netmap's line for a port that came or went, with -v.
    fn print_index(&mut self, port_idx: usize) -> Result<(), Failure> {
        if self.verbose && !self.json {
            writeln!(self.out, "port_index: {port_idx}")?;
        }
        Ok(())
    }

    fn detach(&mut self, port: &str) -> Result<(), Failure> {
        let request = Request::Detach { port: port.to_owned() };
        let Detached { port_idx } = self.ask(&request).map_err(failed("detach", port))?;
        self.print_index(port_idx)
    }

    fn create(&mut self, name: &str) -> Result<(), Failure> {
        let request = Request::Create { name: name.to_owned() };
        let asked = start::connect(&self.place).and_then(|mut c| c.ask::<Value>(&request));
        asked.map_err(failed("create", name))?;
        if self.verbose && !self.json {
            let PortRow { rings, mem_id, .. } = self.row("create", name)?;
            let Rings { tx_slots, rx_slots, tx_rings, rx_rings, .. } = rings;
            writeln!(self.out, "tx_slots:   {tx_slots}\nrx_slots:   {rx_slots}")?;
            // Not as -g spells it: netmap's word again.
            writeln!(self.out, "tx_rings:   {tx_rings}\nrx_ring:    {rx_rings}\nmem_id:     {mem_id}")?;
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let request = Request::Remove { name: name.to_owned() };
        self.ask::<Value>(&request).map_err(failed("remove", name)).map(drop)
    }

    fn list(&mut self) -> Result<(), Failure> {
        let mut rows = self.rows()?;
        rows.retain(|r| r.bridge_idx.is_some());
        if self.json {
            return self.print_json(&rows);
        }
        for PortRow { name, bridge_idx, port_idx, .. } in rows {
            let (bridge_idx, port_idx) = (bridge_idx.unwrap_or_default(), port_idx.unwrap_or_default());
            writeln!(self.out, "{name} bridge_idx {bridge_idx} port_idx {port_idx}")?;
        }
        Ok(())
    }

    fn list_one(&mut self, port: &str) -> Result<(), Failure> {
        let row = self.row("list", port)?;
        if self.json {
            return self.print_json(&row);
        }
        writeln!(self.out, "bridge_idx: {}", row.bridge_idx.unwrap_or_default())?;
        writeln!(self.out, "port_idx:   {}", row.port_idx.unwrap_or_default())?;
        Ok(())
    }

    /// netmap's six lines, its missing colon included: scripts read them.
    fn info(&mut self, port: &str) -> Result<(), Failure> {
        let row = self.row("obtain info for", port)?;
        if self.json {
            return self.print_json(&row);
        }
        let Rings { tx_slots, rx_slots, tx_rings, rx_rings, memory_bytes, page_bytes } = row.rings;
        writeln!(self.out, "memsize:    {memory_bytes}\ntx_slots:   {tx_slots}\nrx_slots:   {rx_slots}")?;
        writeln!(self.out, "tx_rings:   {tx_rings}\nrx_rings    {rx_rings}\nmem_id:     {}", row.mem_id)?;
        if self.verbose {
            writeln!(self.out, "page_size:  {page_bytes}")?;
            self.print(&tables::ports(&[row], true))?;
        }
        Ok(())
    }

    fn ports(&mut self) -> Result<(), Failure> {
        let rows = self.rows()?;
        if self.json { self.print_json(&rows) } else { self.print(&tables::ports(&rows, false)) }
    }

    fn stats(&mut self, of: Option<String>) -> Result<(), Failure> {
        let what = of.clone();
        let stats = self.ask_or_none::<SwitchStats>(what.as_deref(), "show", &Request::Stats { of })?;
        if self.json {
            self.print_json(&BTreeMap::from([("switches", stats)]))
        } else {
            self.print(&tables::stats(&stats))
        }
    }

    fn fdb(&mut self, switch: Option<String>) -> Result<(), Failure> {
        let what = switch.clone();
        let stations = self.ask_or_none::<Station>(what.as_deref(), "show", &Request::Fdb { switch })?;
        if self.json { self.print_json(&stations) } else { self.print(&tables::fdb(&stations)) }
    }

    fn rows(&mut self) -> Result<Vec<PortRow>, Failure> {
        self.ask_or_none(None, "list", &Request::List {})
    }

    /// The row of one port, on a switch or persistent.
    fn row(&mut self, to: &str, port: &str) -> Result<PortRow, Failure> {
        let name = port.parse::<ValePort>().map_or_else(|_| port.to_owned(), |p| p.short());
        let rows = self.ask::<Vec<PortRow>>(&Request::List {}).map_err(failed(to, port))?;
        // netmap names a port of its own without its switch, too.
        let is_it = |row: &PortRow| row.name.split_once(':').is_some_and(|(_, interface)| interface == name);
        let at = rows.iter().position(|row| row.name == name).or_else(|| rows.iter().position(is_it));
        let row = at.and_then(|at| rows.into_iter().nth(at));
        row.ok_or_else(|| failed(to, port)(Error::Refused("no such port (try: vale-ctl ports)".to_owned())))
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        Client::connect(&self.place)?.ask(request)
    }

    /// A list; nothing where there is no daemon and nothing was named: then there is nothing to list.
    fn ask_or_none<T: serde::de::DeserializeOwned>(
        &self,
        what: Option<&str>,
        to: &str,
        request: &Request,
    ) -> Result<Vec<T>, Failure> {
        match (self.ask(request), what) {
            (Ok(list), _) => Ok(list),
            (Err(Error::NoDaemon), None) => Ok(Vec::new()),
            (Err(e), Some(what)) => Err(failed(to, what)(e)),
            (Err(e), None) => Err(Failure(e.to_string())),
        }
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// One line of JSON, where JSON was asked for.
    fn print_json(&mut self, body: &impl serde::Serialize) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string(body).map_err(|e| Failure(e.to_string()))?;
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }
}
