//! How many instructions a frame costs, from an app's virtual port through the switch to another's: a measure that
//! repeats where time does not. Counted by valgrind, compared with the budget in `instructions.txt`.
//!
//! `cargo bench -p switch --bench instructions` prints one line a case, and fails when one is over its budget by more
//! than a tenth. With `--renew` it writes the budget anew instead; any other argument is a part of the names of the
//! cases to count.
#![forbid(unsafe_code)]

mod bed;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use bed::{Bed, frame, mac};
use ports::{BURST, Capabilities, Frame, Mac};

/// Where the budget is kept, by name of case, instructions a frame.
const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// Over its budget by more than this a case fails; under it by more, the budget should be renewed.
const HEADROOM: f64 = 0.1;
/// Passes of the short run. The long run has twice as many, and their difference is what is counted.
const PASSES: usize = 40;

/// The C library copies by instructions that every machine of the kind has, not by the widest that it finds.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-SSSE3,-ERMS,-FSRM";

/// Something that is counted: ports, how frames are sent, and how many arrive in a pass.
struct Case {
    name: &'static str,
    ports: usize,
    len: usize,
    burst: usize,
    to: To,
}

enum To {
    /// The one other port.
    One,
    /// The one other port, written in place.
    InPlace,
    /// The other ports in turn.
    Turns,
    /// All other ports.
    All,
}

const CASES: [Case; 9] = [
    Case { name: "64-burst-256", ports: 2, len: 64, burst: 256, to: To::One },
    Case { name: "64-burst-32", ports: 2, len: 64, burst: 32, to: To::One },
    Case { name: "64-burst-1", ports: 2, len: 64, burst: 1, to: To::One },
    Case { name: "64-in-place", ports: 2, len: 64, burst: 32, to: To::InPlace },
    Case { name: "1514-burst-32", ports: 2, len: 1514, burst: 32, to: To::One },
    Case { name: "64-to-2-in-turn", ports: 3, len: 64, burst: BURST, to: To::Turns },
    Case { name: "64-to-16-in-turn", ports: 17, len: 64, burst: BURST, to: To::Turns },
    Case { name: "64-to-127-in-turn", ports: 128, len: 64, burst: BURST, to: To::Turns },
    Case { name: "64-flood-to-16", ports: 17, len: 64, burst: BURST, to: To::All },
];

impl Case {
    /// Runs so many passes. Says how many frames arrived.
    fn run(&self, passes: usize) -> usize {
        let mut bed = Bed::new(self.ports, Capabilities::all(1500), 1 << 10);
        let others = self.ports - 1;
        let each: Vec<_> = (1..self.ports).map(|n| frame(mac(n), mac(0), self.len)).collect();
        let all = frame(Mac::BROADCAST, mac(0), self.len);
        let bytes = |n: usize| if matches!(self.to, To::All) { &all } else { &each[n % others] };
        let frames: Vec<_> = (0..self.burst).map(|n| Frame::new(bytes(n))).collect();
        let pass = |_| match self.to {
            To::InPlace => bed.generate(&each[0], self.burst),
            _ => bed.burst(&frames, 1..self.ports),
        };
        (0..passes).map(pass).sum()
    }

    /// Frames that arrive in one pass.
    fn arrivals(&self) -> usize {
        if matches!(self.to, To::All) { self.burst * (self.ports - 1) } else { self.burst }
    }

    /// Instructions a frame.
    fn count(&self) -> Result<f64, String> {
        let (short, long) = (self.instructions(PASSES)?, self.instructions(2 * PASSES)?);
        Ok((long - short) as f64 / (PASSES * self.arrivals()) as f64)
    }

    /// Instructions of a process that runs so many passes.
    fn instructions(&self, passes: usize) -> Result<u64, String> {
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let counted = Command::new("valgrind")
            .env("GLIBC_TUNABLES", TUNABLES)
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(me)
            .args(["--run", self.name, &passes.to_string()])
            .output()
            .map_err(|e| format!("valgrind: {e} (try: apt-get install valgrind)"))?;
        let said = String::from_utf8_lossy(&counted.stderr);
        let count = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
        count.filter(|_| counted.status.success()).ok_or_else(|| format!("valgrind failed:\n{said}"))
    }
}

/// What `--run NAME PASSES` does, under valgrind.
fn run(name: &str, passes: &str) -> Result<(), String> {
    let case = CASES.iter().find(|case| case.name == name).ok_or("no such case")?;
    let passes = passes.parse::<usize>().map_err(|e| e.to_string())?;
    let arrived = case.run(passes);
    if arrived == passes * case.arrivals() {
        Ok(())
    } else {
        Err(format!("{name}: {arrived} frames arrived"))
    }
}

fn budget() -> Result<BTreeMap<String, f64>, String> {
    let text = std::fs::read_to_string(BUDGET).map_err(|e| format!("{BUDGET}: {e}"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let entry = |line: &str| {
        Some((line.split_whitespace().next()?.to_owned(), line.split_whitespace().nth(1)?.parse().ok()?))
    };
    lines
        .map(|line| entry(line).ok_or_else(|| format!("{BUDGET}: not a name and a number: {line:?}")))
        .collect()
}

/// Counts and compares. Says whether all cases keep to the budget.
fn check(only: &str) -> Result<bool, String> {
    let budget = budget()?;
    let mut good = true;
    for case in CASES.iter().filter(|case| case.name.contains(only)) {
        let (name, count) = (case.name, case.count()?);
        let allowed = *budget.get(name).ok_or_else(|| format!("{BUDGET}: says nothing of {name}"))?;
        let verdict = match count / allowed - 1.0 {
            more if more > HEADROOM => "TOO MANY",
            more if more < -HEADROOM => "far fewer: renew the budget (--renew)",
            _ => "",
        };
        good &= verdict != "TOO MANY";
        println!("{name:<20} {count:8.1} instructions a frame, budget {allowed:8.1}  {verdict}");
    }
    Ok(good)
}

fn renew() -> Result<bool, String> {
    let mut text = String::from(
        "# Instructions a frame, by case: what switch/benches/instructions.rs counts. A tenth more fails.\n\
         # To renew, when a change is worth its cost or has lowered it:\n\
         #     cargo bench -p switch --bench instructions -- --renew\n",
    );
    for case in &CASES {
        let _ = writeln!(text, "{:<20} {:8.1}", case.name, case.count()?);
    }
    print!("{text}");
    std::fs::write(BUDGET, text).map_err(|e| format!("{BUDGET}: {e}"))?;
    Ok(true)
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name, passes] => run(name, passes).map(|()| true),
        ["--renew"] => renew(),
        [only] => check(only),
        _ => check(""),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
