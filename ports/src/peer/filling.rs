//! A burst on its way into the rings of a session: each frame into the ring of its flow, while there is room.

use crate::{Capabilities, Frame, Sent, flow};

/// What became of one frame.
pub(crate) enum Put {
    Delivered,
    NoRoom,
    Failed,
}

/// A ring, and how far it is filled.
pub(crate) trait Filling {
    /// How the peer breaks the rules.
    type Broken;

    /// Copies one frame in; `want` are still to come, with this one.
    fn put(&mut self, frame: &Frame<'_>, want: usize) -> Result<Put, Self::Broken>;

    /// Gives the peer what was filled.
    fn publish(&self);
}

/// Copies frames into rings. Those that the peer does not take fail. Of a peer that breaks the rules, nobody is there from
/// then on: this frame fails, and all behind it.
#[inline]
pub(crate) fn fill<F: Filling>(
    rings: &mut [F],
    frames: &[Frame<'_>],
    capabilities: &Capabilities,
) -> (Sent, Option<F::Broken>) {
    let mut sent = Sent::default();
    for (frame, want) in frames.iter().zip((1..=frames.len()).rev()) {
        let ring = if rings.len() > 1 { flow::spread(frame, rings.len()) } else { 0 };
        let Some(ring) = rings.get_mut(ring) else { break }; // none: not started yet, and nobody knows when
        let fits = capabilities.takes(frame.len(), frame.offload());
        match if fits { ring.put(frame, want) } else { Ok(Put::Failed) } {
            Ok(Put::Delivered) => {
                sent.frames += 1;
                sent.bytes += frame.len() as u64;
            }
            Ok(Put::Failed) => {}
            Ok(Put::NoRoom) => break,
            Err(broken) => return (Sent { taken: frames.len(), ..sent }, Some(broken)),
        }
        sent.taken += 1;
    }
    (sent, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for some frames. An empty one breaks it, and it has no use for those of a single byte.
    struct Small(usize);

    impl Filling for Small {
        type Broken = &'static str;

        fn put(&mut self, frame: &Frame<'_>, _: usize) -> Result<Put, Self::Broken> {
            match (frame.len(), self.0) {
                (0, _) => Err("broken"),
                (1, _) => Ok(Put::Failed),
                (_, 0) => Ok(Put::NoRoom),
                _ => {
                    self.0 -= 1;
                    Ok(Put::Delivered)
                }
            }
        }

        fn publish(&self) {}
    }

    /// What of frames of these lengths is taken and delivered, and whether the peer broke the rules.
    fn fill_with(rings: &mut [Small], lens: &[usize]) -> (usize, u64, u64, bool) {
        let bytes = [7; 1519];
        let frames: Vec<_> = lens.iter().map(|len| Frame::new(&bytes[..*len])).collect();
        let (sent, broken) = fill(rings, &frames, &Capabilities::wire(1500));
        (sent.taken, sent.frames, sent.bytes, broken.is_some())
    }

    #[test]
    fn every_frame_is_delivered_failed_or_left() {
        assert_eq!(fill_with(&mut [Small(9)], &[60, 61, 62]), (3, 3, 183, false));
        assert_eq!(fill_with(&mut [Small(2)], &[60, 60, 60]), (2, 2, 120, false));
        assert_eq!(fill_with(&mut [Small(9)], &[60, 1, 1519, 60]), (4, 2, 120, false), "of no use; too long");
        assert_eq!(fill_with(&mut [Small(1)], &[60, 1519, 60, 60]), (2, 1, 60, false));
        assert_eq!(fill_with(&mut [], &[60, 60]), (0, 0, 0, false), "not started yet");
    }

    #[test]
    fn behind_a_broken_rule_all_fails() {
        assert_eq!(fill_with(&mut [Small(9)], &[60, 0, 60, 60]), (4, 1, 60, true));
        assert_eq!(fill_with(&mut [Small(1)], &[60, 0, 60, 60]), (4, 1, 60, true));
        assert_eq!(fill_with(&mut [Small(1)], &[60, 60, 0]), (1, 1, 60, false), "not seen yet");
    }
}
