//! Counters, stations and ports as people read them.

use std::collections::BTreeSet;
use std::fmt::Write;

use ports::{Peer, Reason};

use crate::control::message::{Counts, PortRow, Station, SwitchStats};

/// Rows of cells, all of them as wide as their column needs. The first column is text and stands left; so do
/// `text` others; what remains are numbers and stand right.
fn align(rows: &[Vec<String>], text: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if c == 0 { "" } else { "  " };
            let _ = if c < text {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The counters of switches, a table each: every port, those that left, and the sum.
#[must_use]
pub fn stats(switches: &[SwitchStats]) -> String {
    switches.iter().map(one_switch).collect::<Vec<_>>().join("\n")
}

fn one_switch(stats: &SwitchStats) -> String {
    let departed = departed(stats);
    let reasons = stats.total.drops.keys().copied().collect::<BTreeSet<_>>();
    let fixed = [&*stats.switch, "rx frames", "rx bytes", "tx frames", "tx bytes", "copies", "drops"];
    let mut rows =
        vec![fixed.iter().copied().chain(reasons.iter().map(|r| r.name())).map(str::to_owned).collect()];
    rows.extend(stats.ports.iter().map(|p| counts(&p.name, &p.counts, &reasons)));
    if departed != Counts::default() {
        rows.push(counts("(others)", &departed, &reasons));
    }
    rows.push(counts("total", &stats.total, &reasons));
    let mut out = align(&rows, 1);
    let _ = writeln!(out, "balance {} (rx + copies - tx - drops: frames on their way)", stats.balance);
    for hint in stats.ports.iter().filter_map(|p| p.hint.as_deref()) {
        let _ = writeln!(out, "{hint}");
    }
    out
}

fn counts(name: &str, c: &Counts, reasons: &BTreeSet<Reason>) -> Vec<String> {
    let fixed = [c.rx_frames, c.rx_bytes, c.tx_frames, c.tx_bytes, c.copies, c.dropped()];
    let drops = reasons.iter().map(|r| c.drops.get(r).copied().unwrap_or(0));
    std::iter::once(name.to_owned()).chain(fixed.into_iter().chain(drops).map(|n| n.to_string())).collect()
}

/// What the total has beyond the ports shown: those that left, and those that were not asked for.
fn departed(stats: &SwitchStats) -> Counts {
    let mut rest = stats.total.clone();
    for Counts { rx_frames, rx_bytes, tx_frames, tx_bytes, copies, drops } in
        stats.ports.iter().map(|p| &p.counts)
    {
        rest.rx_frames = rest.rx_frames.saturating_sub(*rx_frames);
        rest.rx_bytes = rest.rx_bytes.saturating_sub(*rx_bytes);
        rest.tx_frames = rest.tx_frames.saturating_sub(*tx_frames);
        rest.tx_bytes = rest.tx_bytes.saturating_sub(*tx_bytes);
        rest.copies = rest.copies.saturating_sub(*copies);
        for (reason, n) in drops {
            rest.drops.entry(*reason).and_modify(|all| *all = all.saturating_sub(*n));
        }
    }
    rest.drops.retain(|_, n| *n > 0);
    rest
}

/// MAC tables.
#[must_use]
pub fn fdb(stations: &[Station]) -> String {
    let header = ["address", "port", "age"].map(str::to_owned).to_vec();
    let row = |s: &Station| vec![s.mac.to_string(), s.port.clone(), format!("{} s", s.age_s)];
    align(&[vec![header], stations.iter().map(row).collect()].concat(), 2)
}

/// Ports, and below them what is to be known of each. How to connect to one is not, once somebody is, unless `all` is to be
/// shown.
#[must_use]
pub fn ports(rows: &[PortRow], all: bool) -> String {
    let header = ["port", "backend", "core", "address", "peer"].map(str::to_owned).to_vec();
    let row = |p: &PortRow| {
        let mac = p.mac.map(|m| m.to_string());
        let cores = p.core.iter().chain(&p.more_cores).map(usize::to_string).collect::<Vec<_>>();
        let dash = || "-".to_owned();
        vec![
            p.name.clone(),
            p.backend.clone(),
            if cores.is_empty() { dash() } else { cores.join(",") },
            mac.unwrap_or_else(dash),
            p.peer.as_ref().map_or_else(dash, ToString::to_string),
        ]
    };
    let mut out = align(&[vec![header], rows.iter().map(row).collect()].concat(), 5);
    let shown = |p: &&PortRow| all || !matches!(p.peer, Some(Peer::Here(_)));
    let notes = rows.iter().filter(shown).flat_map(notes).collect::<Vec<_>>();
    if !notes.is_empty() {
        let _ = writeln!(out, "\n{}", notes.join("\n"));
    }
    out
}

/// The notes of a port, each with its name before it.
fn notes(row: &PortRow) -> impl Iterator<Item = String> {
    let name = format!("{}: ", row.name);
    row.notes.iter().map(
        move |note| {
            if note.starts_with(&name) { note.clone() } else { format!("{name}{note}") }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::message::PortStats;
    use ports::Rings;
    use std::collections::BTreeMap;

    #[test]
    fn columns_line_up_and_the_rest_is_shown() {
        let counts = |rx, tx, full| Counts {
            rx_frames: rx,
            tx_frames: tx,
            drops: BTreeMap::from([(Reason::Full, full)]),
            ..Counts::default()
        };
        let port = |name: &str, counts| PortStats { name: name.to_owned(), counts, hint: None };
        let mut total = counts(1_000_000, 0, 0);
        total.add(&counts(0, 999_990, 10));
        total.add(&counts(1, 1, 0));
        let stats_of = SwitchStats {
            switch: "vale0".to_owned(),
            ports: vec![port("vale0:a", counts(1_000_000, 0, 0)), port("vale0:b", counts(0, 999_990, 10))],
            balance: total.balance(),
            total,
        };
        assert_eq!(
            stats(&[stats_of]),
            "\
vale0     rx frames  rx bytes  tx frames  tx bytes  copies  drops  full
vale0:a     1000000         0          0         0       0      0     0
vale0:b           0         0     999990         0       0     10    10
(others)          1         0          1         0       0      0     0
total       1000001         0     999991         0       0     10    10
balance 0 (rx + copies - tx - drops: frames on their way)
"
        );
    }

    #[test]
    fn notes_stand_below_unless_somebody_is_there() {
        let row = |name: &str, peer| PortRow {
            name: name.to_owned(),
            bridge_idx: Some(0),
            port_idx: Some(0),
            backend: "memif".to_owned(),
            core: Some(1),
            more_cores: vec![],
            mac: None,
            rings: Rings::default(),
            mem_id: 1,
            peer,
            notes: vec!["path=x".to_owned(), format!("{name}: it is down")],
        };
        let rows = [
            row("vale0:a", None),
            row("vale0:b", Some(Peer::Nobody)),
            row("vale0:c", Some(Peer::Here("2 of 4 rings".to_owned()))),
            row("vale0:d", Some(Peer::Ended("the guest broke the rules: it lied".to_owned()))),
        ];
        let table = "\
port     backend  core  address  peer
vale0:a  memif    1     -        -
vale0:b  memif    1     -        nobody connected
vale0:c  memif    1     -        connected: 2 of 4 rings
vale0:d  memif    1     -        ended: the guest broke the rules: it lied
";
        let of = |name: char| format!("vale0:{name}: path=x\nvale0:{name}: it is down\n");
        assert_eq!(ports(&rows, false), format!("{table}\n{}{}{}", of('a'), of('b'), of('d')));
        assert_eq!(ports(&rows, true), format!("{table}\n{}{}{}{}", of('a'), of('b'), of('c'), of('d')));
        assert!(ports(&rows[2..3], false).ends_with("2 of 4 rings\n"), "nothing below");
    }
}
