//! Frames shown in hexadecimal, `-X`.

use std::time::Duration;

use ports::Time;

use crate::{Config, Event, EventSink};

/// Shows frames, all but those of a flood: each is a copy that waits for somebody to print it, and what sends or receives
/// cannot wait.
pub(crate) struct Dump {
    /// Of the next frame.
    number: u64,
    /// How many may be shown in this second, which began with the report of then.
    left: u32,
    since: Option<Time>,
}

/// Reports come once a second, give or take what a busy host is late.
const SECOND: Duration = Duration::from_millis(900);
/// Bytes shown of a frame: what a slot of netmap's holds.
const BYTES: usize = 2048;

impl Dump {
    /// If it is `wanted`.
    pub(crate) fn new(wanted: bool) -> Option<Self> {
        wanted.then_some(Self { number: 0, left: Config::DUMPS, since: None })
    }

    pub(crate) fn show(&mut self, frame: &[u8], tell: &mut EventSink) {
        if self.left > 0 {
            self.left -= 1;
            let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            let bytes = frame[..frame.len().min(BYTES)].to_vec();
            tell(Event::Dump { number: self.number, len, bytes });
        }
        self.number += 1;
    }

    /// A report is given now: the next second begins, if this one is over.
    pub(crate) fn interval(&mut self, now: Time) {
        if self.since.is_none_or(|since| now.since(since) >= SECOND) {
            (self.left, self.since) = (Config::DUMPS, Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn so_many_are_shown_and_all_are_counted() {
        let (sender, events) = mpsc::channel();
        let mut tell: EventSink = Box::new(move |event| sender.send(event).unwrap());
        assert!(Dump::new(false).is_none());
        let mut dump = Dump::new(true).unwrap();
        dump.interval(Time(7_000_000_000));
        let flood = u64::from(Config::DUMPS) + 100;
        (0..flood).for_each(|_| dump.show(&[7; 60], &mut tell));
        dump.interval(Time(7_899_999_999));
        dump.show(&[9; 60], &mut tell); // still in the same second
        dump.interval(Time(7_900_000_000));
        dump.show(&[8; 3000], &mut tell);
        let shown: Vec<_> = events.try_iter().collect();
        assert_eq!(shown.len() as u64, flood - 100 + 1);
        let number = flood - 101;
        assert_eq!(shown[shown.len() - 2], Event::Dump { number, len: 60, bytes: vec![7; 60] });
        assert_eq!(
            shown[shown.len() - 1],
            Event::Dump { number: flood + 1, len: 3000, bytes: vec![8; 2048] }
        );
    }
}
