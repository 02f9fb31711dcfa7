//! What the switch costs a frame: from an app's virtual port through the switch to another's, all on this thread,
//! beside a bare copy of as many bytes between two such pieces of memory.
//!
//! `cargo bench -p switch --bench forward` prints one line a case. Arguments: the seconds that each runs, a part of the
//! names of the cases to run, and `--tsv` for `NAME<TAB>NANOSECONDS<TAB>ns`, where NAME is LEN/WHAT/X. With
//! `--passes LEN COUNT` it moves that many bursts and measures nothing: valgrind does.
#![forbid(unsafe_code)]

#[path = "../bed/mod.rs"]
mod bed;
mod report;
mod shapes;
mod steps;

use std::time::Duration;

use report::Report;

fn main() {
    let (switches, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    if switches.iter().any(|arg| arg == "--passes") {
        let numbers: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
        return match numbers[..] {
            [len @ 60..=1514, count] => steps::passes(len, count),
            _ => eprintln!("--passes: needs a length (60 to 1514) and a count"),
        };
    }
    let seconds = words.iter().find_map(|arg| arg.parse::<f64>().ok()).unwrap_or(1.0);
    let only = words.into_iter().find(|arg| arg.parse::<f64>().is_err()).unwrap_or_default();
    let tabbed = switches.iter().any(|arg| arg == "--tsv");
    let mut report = Report::new(Duration::from_secs_f64(seconds), only, tabbed);
    for len in [64, 1514] {
        report.turn_to(len);
        shapes::bursts(&report, len);
        steps::steps(&report, len);
        for ports in [2, 4, 8, 16, 32, 64, 128] {
            shapes::ports(&report, len, ports);
            shapes::pairs(&report, len, ports);
        }
        for ports in [4, 17, 65] {
            shapes::flood(&report, len, ports);
        }
        for stations in [1 << 1, 1 << 4, 1 << 7, 1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20] {
            shapes::stations(&report, len, stations);
        }
        for stopped in [false, true] {
            shapes::overload(&report, len, stopped);
        }
    }
    shapes::offloads(&report);
    shapes::sizes(&mut report);
}
