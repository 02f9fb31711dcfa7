//! Idle, it stays cool. The kernel counts how often a thread goes to sleep: that says whether it was left alone, on a
//! machine of any speed and with any neighbours.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{Valed, wait};

/// How often the threads of a process have gone to sleep so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleeps {
    pub(crate) of_workers: u64,
    pub(crate) of_others: u64,
}

impl Sleeps {
    /// Waits until the whole process sleeps, which it never does with a thread that spins, and counts. Who finds the same
    /// number again knows that nothing has woken them in between.
    pub(crate) fn of(pid: u32) -> Self {
        let mut sleeps = None;
        wait("all threads sleep", || {
            sleeps = Self::look(pid);
            sleeps.is_some()
        });
        sleeps.unwrap()
    }

    /// None if a thread is awake now.
    fn look(pid: u32) -> Option<Self> {
        let mut sleeps = Self { of_workers: 0, of_others: 0 };
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let Some(thread) = Thread::look(&task.unwrap().path()) else { continue };
            if !thread.is_asleep {
                return None;
            }
            let of = if thread.is_worker { &mut sleeps.of_workers } else { &mut sleeps.of_others };
            *of += thread.sleeps;
        }
        Some(sleeps)
    }
}

struct Thread {
    is_worker: bool,
    is_asleep: bool,
    sleeps: u64,
}

impl Thread {
    /// None if it has just ended.
    fn look(task: &Path) -> Option<Self> {
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some(Self {
            is_worker: field("Name:")?.starts_with("worker-"),
            is_asleep: field("State:")?.starts_with('S'),
            sleeps: field("voluntary_ctxt_switches:")?.parse().ok()?,
        })
    }
}

#[test]
fn it_stays_cool() {
    let valed = Valed::start();
    for port in ["vale0:a@virtual", "vale0:b@virtual", "vale1:c@null", "vale1:d@virtual"] {
        valed.ctl_ok(&["-a", port]);
    }
    let (before, begin) = (Sleeps::of(valed.child.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let after = Sleeps::of(valed.child.id());
    assert_eq!(after.of_workers, before.of_workers, "nothing wakes a worker");
    // Ageing and the look for trouble: twice a second.
    let looks = after.of_others.saturating_sub(before.of_others);
    assert!(looks <= 5 * (begin.elapsed().as_secs() + 1), "{looks}");
}

/// What the other tests here go by.
#[test]
fn one_that_is_to_be_busy_never_sleeps() {
    let valed = Valed::start_with(&["--idle", "busy"]);
    valed.ctl_ok(&["-a", "vale0:a@virtual"]);
    for _ in 0..100 {
        assert!(Sleeps::look(valed.child.id()).is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
}
