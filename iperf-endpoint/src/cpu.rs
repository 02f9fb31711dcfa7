//! Processor time of the thread that runs an endpoint, for the report's `cpu_utilization_percent`.

use crate::event::Cpu;
use std::time::Duration;

/// Time that a thread has spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// One tick of `/proc`: `USER_HZ` is 100 on every Linux (`include/asm-generic/param.h`).
const TICK: Duration = Duration::from_millis(10);

impl CpuTime {
    /// Of the calling thread, from `/proc` (about 10 us, so at the ends of a test only); zero where there is
    /// none.
    #[must_use]
    pub fn of_thread() -> Self {
        std::fs::read_to_string("/proc/thread-self/stat")
            .ok()
            .and_then(|s| Self::parse(&s))
            .unwrap_or_default()
    }

    /// Fields 14 and 15 of proc(5) `stat`. The name in field 2 may hold anything, so count from its end.
    fn parse(stat: &str) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u32>().ok();
        Some(Self { user: TICK * ticks()?, system: TICK * ticks()? })
    }

    /// Percent of one core since `earlier`, over `elapsed`.
    #[must_use]
    pub fn percent_since(self, earlier: Self, elapsed: Duration) -> Cpu {
        if elapsed.is_zero() {
            return Cpu::default();
        }
        let percent = |d: Duration| 100.0 * d.as_secs_f64() / elapsed.as_secs_f64();
        let user = percent(self.user.saturating_sub(earlier.user));
        let system = percent(self.system.saturating_sub(earlier.system));
        Cpu { total: user + system, user, system }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_the_name() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 25 50 0 0 20 0 1 0 99 1 1";
        let t = CpuTime::parse(stat).unwrap();
        assert_eq!((t.user, t.system), (Duration::from_millis(250), Duration::from_millis(500)));
        assert_eq!(CpuTime::parse("7 (a"), None);
    }

    #[test]
    fn percent_of_one_core() {
        let t = CpuTime { user: Duration::from_millis(500), system: Duration::from_millis(250) };
        let cpu = t.percent_since(CpuTime::default(), Duration::from_secs(1));
        assert_eq!((cpu.total, cpu.user, cpu.system), (75.0, 50.0, 25.0));
        assert_eq!(t.percent_since(t, Duration::ZERO), Cpu::default());
    }
}
