//! How a run is reported. None of this concerns the run itself, so it stays with the program that prints.

/// What the report is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// netmap's lines.
    #[default]
    Text,
    /// A JSON object a line: one an interval, and a summary (`--json`).
    Json,
    /// A header, and a line an interval (`--csv`).
    Csv,
}

/// Asks how many columns the terminal has that progress goes to; `None` if there is none, or it is not ours to draw
/// on just now.
pub type Columns = fn() -> Option<u16>;

/// How a run is reported.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// What it is made of.
    pub format: Format,
    /// In K, M, G and T (`-N` turns it off).
    pub normalize: bool,
    /// Mean and standard deviation of the packets a second, in netmap's lines (`-A`).
    pub average: bool,
    /// Bytes of each frame that count in bits a second besides its own: 0, or
    /// [`Rate::FRAMING`](crate::Rate::FRAMING) (`-B`).
    pub framing: u32,
    /// More messages (`-v`).
    pub verbose: u8,
    /// The terminal on which an interval's line replaces the one before.
    pub columns: Columns,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            format: Format::Text,
            normalize: true,
            average: false,
            framing: 0,
            verbose: 0,
            columns: || None,
        }
    }
}
