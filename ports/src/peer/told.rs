//! What the log says of peers, without saying it again and again.

/// Warns of peers: one that does what the one before did is not worth another line.
pub(crate) struct Told {
    /// Of the port.
    name: String,
    /// The line that was said last.
    last: String,
}

impl Told {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), last: String::new() }
    }

    /// Says so, unless it was said last.
    pub(crate) fn warn(&mut self, line: &str) {
        if line != self.last {
            tracing::warn!("{}: {line}", self.name);
            line.clone_into(&mut self.last);
        }
    }

    /// A peer came and went as it should: what the next one does is news, whatever it is.
    pub(crate) fn forget(&mut self) {
        self.last.clear();
    }
}
