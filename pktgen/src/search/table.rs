//! What was found, as a table: a row a size.

use std::io::{self, Write};

use serde::Serialize;

use super::{Found, Goal, Outcome, Plan, Step};
use crate::Format;

/// Shows a search: the table on one stream, how it goes on another.
#[derive(Debug)]
pub struct Table {
    plan: Plan,
    format: Format,
}

/// A row for programs.
#[derive(Serialize)]
struct Row<'a> {
    event: &'a str,
    /// On the wire, with FCS.
    size_bytes: u32,
    #[serde(flatten)]
    best: Best,
    /// What passed, as a share of the greatest load that could be tried.
    percent_of_most: f64,
    trials: u32,
    from: &'a str,
    to: &'a str,
    trial_ms: u128,
    loss_percent: f64,
    resolution_percent: f64,
}

/// What passed, and the greatest load that could be tried.
#[derive(Serialize)]
#[serde(untagged)]
enum Best {
    Throughput { pps: u64, bps: u64, most_pps: u64 },
    BackToBack { burst_packets: u64, most_packets: u64 },
}

impl Table {
    /// Of this plan.
    #[must_use]
    pub const fn new(plan: Plan, format: Format) -> Self {
        Self { plan, format }
    }

    fn to(&self) -> &str {
        self.plan.to.as_deref().unwrap_or(&self.plan.config.port)
    }

    /// Says what is searched, and heads the columns.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn head(&self, out: &mut impl Write, err: &mut impl Write) -> io::Result<()> {
        let Plan { goal, config, trial, terms, .. } = &self.plan;
        let (port, to, seconds) = (&config.port, self.to(), trial.as_secs_f64());
        let (loss, resolution) = (terms.loss * 100.0, terms.resolution * 100.0);
        let name = goal.name();
        let terms = format!(
            "RFC 2544 {name}, {port} to {to}: trials of {seconds} s (the RFC wants 60), \
             loss up to {loss} %, resolution {resolution} %"
        );
        match (self.format, goal) {
            (Format::Text, Goal::Throughput) => {
                writeln!(out, "{terms}")?;
                writeln!(
                    out,
                    "{:>6} {:>12} {:>12} {:>10} {:>7}",
                    "size", "pps", "Mbit/s", "% of most", "trials"
                )?;
            }
            (Format::Text, Goal::BackToBack) => {
                writeln!(out, "{terms}")?;
                writeln!(out, "{:>6} {:>14} {:>10} {:>7}", "size", "frames", "% of most", "trials")?;
            }
            (Format::Csv, Goal::Throughput) => writeln!(out, "size_bytes,pps,bps,most_pps,trials")?,
            (Format::Csv, Goal::BackToBack) => writeln!(out, "size_bytes,burst_packets,most_packets,trials")?,
            (Format::Json, _) => {}
        }
        if self.format != Format::Text {
            writeln!(err, "{terms}")?;
        }
        out.flush()
    }

    /// Says what came of one trial.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn trial(
        &self,
        size: u32,
        step: Step,
        outcome: &Outcome,
        passed: bool,
        err: &mut impl Write,
    ) -> io::Result<()> {
        let unit = self.unit();
        let asked = match step {
            Step::Load(load) => format!("{load} {unit}"),
            Step::Most | Step::Found(_) => "full speed".to_owned(),
        };
        let Outcome { offered, sent, .. } = outcome;
        let (lost, verdict) = (outcome.lost(), if passed { "passed" } else { "failed" });
        writeln!(err, "{size} bytes, {asked}: {offered} {unit} offered, {lost} of {sent} lost: {verdict}")
    }

    const fn unit(&self) -> &'static str {
        match self.plan.goal {
            Goal::Throughput => "packets/s",
            Goal::BackToBack => "packets",
        }
    }

    /// Says how far a search had come that was interrupted: no row, which would be taken for a result.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn interrupted(&self, size: u32, so_far: Found, err: &mut impl Write) -> io::Result<()> {
        let (Found { best, trials, .. }, unit) = (so_far, self.unit());
        let s = if trials == 1 { "" } else { "s" };
        match best {
            0 => writeln!(err, "{size} bytes: interrupted after {trials} trial{s}: nothing passed so far"),
            _ => writeln!(
                err,
                "{size} bytes: interrupted after {trials} trial{s}: {best} {unit} passed so far"
            ),
        }
    }

    /// A row.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn row(&self, size: u32, found: Found, out: &mut impl Write) -> io::Result<()> {
        let Found { best, most, trials } = found;
        let bps = best.saturating_mul(u64::from(size) * 8);
        let percent = if most > 0 { 100.0 * best as f64 / most as f64 } else { 0.0 };
        match (self.format, self.plan.goal) {
            (Format::Text, Goal::Throughput) => {
                let mbps = bps as f64 / 1e6;
                writeln!(out, "{size:>6} {best:>12} {mbps:>12.2} {percent:>10.1} {trials:>7}")?;
            }
            (Format::Text, Goal::BackToBack) => {
                writeln!(out, "{size:>6} {best:>14} {percent:>10.1} {trials:>7}")?;
            }
            (Format::Csv, Goal::Throughput) => writeln!(out, "{size},{best},{bps},{most},{trials}")?,
            (Format::Csv, Goal::BackToBack) => writeln!(out, "{size},{best},{most},{trials}")?,
            (Format::Json, goal) => {
                let best = match goal {
                    Goal::Throughput => Best::Throughput { pps: best, bps, most_pps: most },
                    Goal::BackToBack => Best::BackToBack { burst_packets: best, most_packets: most },
                };
                serde_json::to_writer(&mut *out, &self.json(size, best, percent, trials))?;
                writeln!(out)?;
            }
        }
        out.flush()
    }

    fn json(&self, size_bytes: u32, best: Best, percent: f64, trials: u32) -> Row<'_> {
        let Plan { goal, config, trial, terms, .. } = &self.plan;
        Row {
            event: goal.name(),
            size_bytes,
            best,
            percent_of_most: (percent * 10.0).round() / 10.0,
            trials,
            from: &config.port,
            to: self.to(),
            trial_ms: trial.as_millis(),
            loss_percent: terms.loss * 100.0,
            resolution_percent: terms.resolution * 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::search::Terms;
    use crate::{Config, Function};

    fn print(goal: Goal, format: Format) -> (String, String) {
        let plan = Plan {
            goal,
            config: Config::new("vale0:1", Function::Tx),
            to: Some("vale0:2".to_owned()),
            sizes: vec![64],
            trial: Duration::from_millis(500),
            terms: Terms { loss: 0.001, resolution: 0.01 },
        };
        let table = Table::new(plan, format);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        table.head(&mut out, &mut err).unwrap();
        let outcome = Outcome { offered: 990, sent: 495, received: 494 };
        table.trial(64, Step::Load(1000), &outcome, false, &mut err).unwrap();
        table.trial(64, Step::Most, &outcome, true, &mut err).unwrap();
        table.row(64, Found { best: 7_812_345, most: 10_000_000, trials: 9 }, &mut out).unwrap();
        table.row(1518, Found { best: 0, most: 0, trials: 2 }, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn people_read_a_table() {
        let (out, err) = print(Goal::Throughput, Format::Text);
        assert_eq!(
            out,
            "RFC 2544 throughput, vale0:1 to vale0:2: trials of 0.5 s (the RFC wants 60), loss up to 0.1 %, resolution 1 %
  size          pps       Mbit/s  % of most  trials
    64      7812345      3999.92       78.1       9
  1518            0         0.00        0.0       2
"
        );
        assert_eq!(
            err,
            "64 bytes, 1000 packets/s: 990 packets/s offered, 1 of 495 lost: failed
64 bytes, full speed: 990 packets/s offered, 1 of 495 lost: passed
"
        );
        let (out, _) = print(Goal::BackToBack, Format::Text);
        assert!(out.ends_with("  size         frames  % of most  trials\n    64        7812345       78.1       9\n  1518              0        0.0       2\n"), "{out}");
    }

    #[test]
    fn an_interrupted_search_says_how_far_it_came() {
        let plan = Plan {
            goal: Goal::Throughput,
            config: Config::new("vale0:1", Function::Tx),
            to: None,
            sizes: vec![64],
            trial: Duration::from_millis(500),
            terms: Terms { loss: 0.0, resolution: 0.01 },
        };
        let table = Table::new(plan, Format::Text);
        let mut err = Vec::new();
        table.interrupted(64, Found { best: 500, most: 1000, trials: 3 }, &mut err).unwrap();
        table.interrupted(128, Found { best: 0, most: 0, trials: 1 }, &mut err).unwrap();
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "64 bytes: interrupted after 3 trials: 500 packets/s passed so far\n\
             128 bytes: interrupted after 1 trial: nothing passed so far\n"
        );
    }

    #[test]
    fn programs_read_json_and_csv() {
        let (out, err) = print(Goal::Throughput, Format::Json);
        let rows = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let rows = rows.collect::<Vec<_>>();
        assert_eq!(
            rows[0],
            serde_json::json!({
                "event": "throughput", "size_bytes": 64, "pps": 7_812_345, "bps": 3_999_920_640_u64,
                "most_pps": 10_000_000, "percent_of_most": 78.1, "trials": 9, "from": "vale0:1", "to": "vale0:2",
                "trial_ms": 500, "loss_percent": 0.1, "resolution_percent": 1.0,
            })
        );
        assert!(rows.len() == 2 && err.starts_with("RFC 2544 throughput"), "{err}");
        let (out, _) = print(Goal::BackToBack, Format::Json);
        assert!(out.contains(r#""burst_packets":7812345,"most_packets":10000000"#), "{out}");
        let (out, _) = print(Goal::Throughput, Format::Csv);
        assert_eq!(
            out,
            "size_bytes,pps,bps,most_pps,trials\n64,7812345,3999920640,10000000,9\n1518,0,0,0,2\n"
        );
    }
}
