//! Slots of a ring that are looked at ahead of those that are filled, so that the processor fetches the buffers of all at
//! once.

use arrayvec::ArrayVec;

/// Most slots that are looked at ahead.
const AHEAD: usize = 32;

/// A ring that the peer gives us room in. Whatever it says is a claim.
pub(crate) trait Room {
    /// A slot, looked up.
    type Slot: Copy;
    /// How the peer breaks the rules.
    type Broken;
    /// Its index went backwards: less is there than before.
    const BACKWARDS: Self::Broken;

    /// Slots that are there to be filled.
    fn there(&self) -> Result<u16, Self::Broken>;

    /// Looks at the `n`th of them, and asks the processor for its buffer.
    fn look(&self, n: u16) -> Result<Self::Slot, Self::Broken>;
}

/// The way through the slots of one burst.
pub(crate) struct Ahead<S> {
    /// Slots that were there when last asked, and how many of them were looked at.
    there: u16,
    seen: u16,
    /// Those that were looked at last, and how many of them were given out.
    slots: ArrayVec<S, AHEAD>,
    next: usize,
}

impl<S> Ahead<S> {
    pub(crate) const fn new() -> Self {
        Self { there: 0, seen: 0, slots: ArrayVec::new_const(), next: 0 }
    }
}

impl<S: Copy> Ahead<S> {
    /// Begins a burst.
    pub(crate) fn begin(&mut self) {
        self.slots.clear();
        (self.there, self.seen, self.next) = (0, 0, 0);
    }

    /// The next slot, if one is there. `want` is how many may follow.
    #[inline]
    pub(crate) fn next<R: Room<Slot = S>>(&mut self, ring: &R, want: usize) -> Result<Option<S>, R::Broken> {
        if self.next == self.slots.len() && !self.look(ring, want)? {
            return Ok(None);
        }
        let slot = self.slots.get(self.next).copied();
        self.next += 1;
        Ok(slot)
    }

    /// Looks at more slots. Says whether there are any.
    fn look<R: Room<Slot = S>>(&mut self, ring: &R, want: usize) -> Result<bool, R::Broken> {
        if self.seen >= self.there {
            self.there = ring.there()?;
        }
        let more = self.there.checked_sub(self.seen).ok_or(R::BACKWARDS)?;
        self.slots.clear();
        self.next = 0;
        for _ in 0..usize::from(more).min(want).min(AHEAD) {
            self.slots.push(ring.look(self.seen)?);
            self.seen += 1;
        }
        Ok(!self.slots.is_empty())
    }

    /// Only `filled` slots were: the others are looked at again.
    pub(crate) fn rewind(&mut self, filled: u16) {
        self.slots.clear();
        (self.next, self.seen) = (0, filled);
    }
}
