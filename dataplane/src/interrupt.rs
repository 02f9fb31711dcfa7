//! SIGINT, SIGTERM, and SIGHUP.

use std::io;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::terminal;

/// What the process exits with when it is interrupted a second time: 128 and the number of SIGINT.
const IMPATIENT: i32 = 130;

/// Signals closer together than this are one: timeout(1) sends its signal to the program and then to its group, which
/// is the program again.
const ONE: Duration = Duration::from_millis(250);

/// Calls `stop` on a thread of its own at the first signal. The next ends the process, whatever it is at.
pub(crate) fn on_interrupt(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !ignores(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    let wait = move || {
        let mut stop = Some(stop);
        let mut first = Instant::now();
        for _ in signals.forever() {
            if let Some(stop) = stop.take() {
                stop();
                first = Instant::now(); // whatever came meanwhile is part of it
            } else if first.elapsed() > ONE {
                leave();
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Whether whoever started us wants a signal ignored, as nohup(1) does of SIGHUP: a mask of them, from signal 1 on
/// (proc_pid_status(5)).
fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Ends the process, on a line of its own where one is being drawn on a terminal.
fn leave() -> ! {
    if terminal::columns().is_some() {
        eprintln!();
    }
    std::process::exit(IMPATIENT)
}
