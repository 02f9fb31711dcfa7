//! Frames shown in hexadecimal, `-X`.

use crate::{Event, EventSink};

/// Shows frames, as many as there is time for: showing all would hold up what it shows.
pub(crate) struct Dump {
    /// Of the next frame.
    number: u64,
    /// How many may be shown until the next report.
    left: u32,
}

/// Frames shown from report to report.
const MOST: u32 = 64;
/// Bytes shown of a frame: what a slot of netmap's holds.
const BYTES: usize = 2048;

impl Dump {
    /// If it is `wanted`.
    pub(crate) fn new(wanted: bool) -> Option<Self> {
        wanted.then_some(Self { number: 0, left: MOST })
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

    /// A report was given.
    pub(crate) const fn interval(&mut self) {
        self.left = MOST;
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
        (0..100).for_each(|_| dump.show(&[7; 60], &mut tell));
        dump.interval();
        dump.show(&[8; 3000], &mut tell);
        let shown: Vec<_> = events.try_iter().collect();
        assert_eq!(shown.len(), 65);
        assert_eq!(shown[63], Event::Dump { number: 63, len: 60, bytes: vec![7; 60] });
        assert_eq!(shown[64], Event::Dump { number: 100, len: 3000, bytes: vec![8; 2048] });
    }
}
