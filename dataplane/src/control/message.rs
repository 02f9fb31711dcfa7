//! What is said over the control socket: one JSON object a line.
//!
//! ```text
//! > {"op":"attach","port":"vale0:veth0@packet"}
//! < {"ok":[{"name":"vale0:veth0","bridge_idx":0,"port_idx":0,"notes":[]}]}
//! > {"op":"host","on":"vale0:1","app":{"pktgen":{...}}}
//! < {"ok":{}}
//! < {"event":{...}}          any number of these, with "thread":N from thread N of several
//! > {"op":"stop"}            or simply hang up
//! < {"broken":"..."}        before that, if the daemon is about to leave; the last events are still to come
//! < {"done":{}}
//! > nonsense
//! < {"error":"..."}
//! ```

use std::collections::BTreeMap;

use ports::counters::Totals;
use ports::{Mac, Peer, Reason, Rings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apps;

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Says that somebody is there. Answered by `{}`.
    Hello {},
    /// Puts a port on its switch. Answered by a list of [`Attached`].
    Attach {
        /// A name with a switch.
        port: String,
        /// The host stack joins with it, as a second port.
        #[serde(default)]
        host: bool,
    },
    /// Takes a port off its switch, and the host stack's with it. Answered by [`Detached`].
    Detach {
        /// A name with a switch.
        port: String,
    },
    /// Every port. Answered by a list of [`PortRow`].
    List {},
    /// Counters. Answered by a list of [`SwitchStats`].
    Stats {
        /// A switch or a port; all switches without it.
        #[serde(default)]
        of: Option<String>,
    },
    /// MAC tables. Answered by a list of [`Station`].
    Fdb {
        /// A switch; all of them without it.
        #[serde(default)]
        switch: Option<String>,
    },
    /// Makes a persistent port: a TAP that lives as long as the daemon. Answered by `{}`.
    Create {
        /// The name of the interface.
        name: String,
    },
    /// Removes a persistent port. Answered by `{}`.
    Remove {
        /// The name of the interface.
        name: String,
    },
    /// Runs an app on a port of its own. Answered by `{}`, [events](Reply::Event), and [`Reply::Done`].
    Host {
        /// A name with a switch; the port is made for the app and leaves with it.
        on: String,
        /// The core to run on; the switch's own if left open.
        #[serde(default)]
        core: Option<usize>,
        /// What runs.
        app: Box<apps::Config>,
        /// Further threads of the app. Each has a queue of the port to itself.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Thread>,
    },
    /// Asks the app that this connection hosts to come to an end.
    Stop {},
}

/// A thread of an app beyond the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// The core to run on.
    #[serde(default)]
    pub core: Option<usize>,
    /// What runs.
    pub app: apps::Config,
}

/// What a hosted app says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The thread that says it; left out for the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub thread: usize,
    /// The app's own event.
    #[serde(flatten)]
    pub event: Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first(thread: &usize) -> bool {
    *thread == 0
}

/// What the daemon answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done as asked; the body depends on the request.
    Ok(Value),
    /// Not done; a line for the user.
    Error(String),
    /// The hosted app has something to say.
    Event(Said),
    /// The hosted app is about to be ended, and not by its client: why, a line for the user.
    Broken(String),
    /// The hosted app has come to its end, and its port is gone.
    Done {},
}

impl Reply {
    /// Done, and there is nothing to tell.
    #[must_use]
    pub fn done() -> Self {
        Self::Ok(Value::Object(serde_json::Map::new()))
    }

    /// Done, and this is what was asked for.
    #[must_use]
    pub fn with(body: &impl Serialize) -> Self {
        serde_json::to_value(body).map_or_else(|e| Self::Error(e.to_string()), Self::Ok)
    }
}

/// A port that has just joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The port: `vale0:eth0`.
    pub name: String,
    /// The switch's number.
    pub bridge_idx: usize,
    /// The port's number on the switch.
    pub port_idx: usize,
    /// What a user should know of how the port came up.
    pub notes: Vec<String>,
}

/// A port that has just left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// The number that it had on the switch.
    pub port_idx: usize,
}

/// A port, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// The port: `vale0:eth0`; the interface alone for a persistent port that is on no switch.
    pub name: String,
    /// The switch's number, if on one.
    pub bridge_idx: Option<usize>,
    /// The port's number on the switch, if on one.
    pub port_idx: Option<usize>,
    /// `afxdp`, `tap`, ..., or `app` for the port of a hosted app.
    pub backend: String,
    /// The core that polls the port, if one does.
    pub core: Option<usize>,
    /// Further cores that do, where several were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cores: Vec<usize>,
    /// The interface's own address, where it has one.
    pub mac: Option<Mac>,
    /// What it keeps frames in.
    pub rings: Rings,
    /// Number of the memory that they are in; each port has its own.
    pub mem_id: u64,
    /// Who is at its far side, where others come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// What a user should know of how the port came up.
    pub notes: Vec<String>,
}

/// Frames, bytes and drops of a port or a sum of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames that came in.
    pub rx_frames: u64,
    /// Their bytes, Ethernet header included, FCS not.
    pub rx_bytes: u64,
    /// Frames that went out.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Copies of flooded frames beyond the first.
    pub copies: u64,
    /// Frames dropped, by reason; reasons that did not occur are left out.
    pub drops: BTreeMap<Reason, u64>,
}

/// The counters of one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStats {
    /// The port: `vale0:eth0`.
    pub name: String,
    /// Its counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// What the counters say that a user should do something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The counters of one switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchStats {
    /// The switch: `vale0`.
    pub switch: String,
    /// The ports that were asked for.
    pub ports: Vec<PortStats>,
    /// The sum over all ports, those that left included.
    pub total: Counts,
    /// `rx + copies - tx - drops`: zero when no frame is on its way.
    pub balance: i64,
}

/// A station that a switch knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// Its address.
    pub mac: Mac,
    /// The port behind which it is: `vale0:eth0`.
    pub port: String,
    /// Seconds since it was last heard of.
    pub age_s: u64,
}

impl From<Totals> for Counts {
    fn from(t: Totals) -> Self {
        Self {
            rx_frames: t.rx_frames,
            rx_bytes: t.rx_bytes,
            tx_frames: t.tx_frames,
            tx_bytes: t.tx_bytes,
            copies: t.copies,
            drops: t.reasons().collect(),
        }
    }
}

impl Counts {
    /// Adds `other` to the sum.
    pub fn add(&mut self, other: &Self) {
        self.rx_frames += other.rx_frames;
        self.rx_bytes += other.rx_bytes;
        self.tx_frames += other.tx_frames;
        self.tx_bytes += other.tx_bytes;
        self.copies += other.copies;
        for (reason, n) in &other.drops {
            *self.drops.entry(*reason).or_default() += n;
        }
    }

    /// All drops together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.values().sum()
    }

    /// `rx + copies - tx - drops`. Frames that were lost before they came in are in neither.
    #[must_use]
    pub fn balance(&self) -> i64 {
        let before =
            [Reason::Kernel, Reason::BadChecksum].iter().filter_map(|r| self.drops.get(r)).sum::<u64>();
        let inward = self.rx_frames + self.copies;
        let outward = self.tx_frames + self.dropped() - before;
        inward.cast_signed().wrapping_sub(outward.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_documented() {
        let parse = |s| serde_json::from_str::<Request>(s);
        assert!(matches!(parse(r#"{"op":"list"}"#), Ok(Request::List {})));
        assert!(matches!(parse(r#"{"op":"stats"}"#), Ok(Request::Stats { of: None })));
        let attach = parse(r#"{"op":"attach","port":"vale0:veth0@packet"}"#);
        assert!(matches!(attach, Ok(Request::Attach { port, host: false }) if port == "vale0:veth0@packet"));
        for wrong in [
            "{}",
            "[]",
            "null",
            "7",
            r#"{"op":"fly"}"#,
            r#"{"op":7}"#,
            r#"{"op":"attach"}"#,
            r#"{"op":"attach","port":7}"#,
            r#"{"op":"attach","port":"x","host":"yes"}"#,
            r#"{"op":"attach","port":"x","hots":true}"#,
            r#"{"op":"host","on":"vale0:1","app":{}}"#,
            r#"{"op":"host","on":"vale0:1","app":{"emacs":{}}}"#,
            r#"{"op":"host","on":"vale0:1","core":-1,"app":{"pktgen":{}}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_peer_is_as_documented() {
        let json = |peer: Peer| serde_json::to_string(&peer).unwrap();
        assert_eq!(json(Peer::Nobody), r#"{"state":"nobody"}"#);
        assert_eq!(json(Peer::Here("x".to_owned())), r#"{"state":"here","text":"x"}"#);
        assert_eq!(json(Peer::Ended("x".to_owned())), r#"{"state":"ended","text":"x"}"#);
    }

    #[test]
    fn the_balance_leaves_out_what_never_came_in() {
        let drops = BTreeMap::from([(Reason::Full, 2), (Reason::Kernel, 7)]);
        let one = Counts { rx_frames: 10, copies: 1, tx_frames: 9, drops, ..Counts::default() };
        assert_eq!((one.dropped(), one.balance()), (9, 0));
        let mut two = one.clone();
        two.add(&one);
        assert_eq!((two.rx_frames, two.drops[&Reason::Full], two.balance()), (20, 4, 0));
    }
}
