//! Frame rings in shared memory, in the layout of memif (libmemif's and VPP's shared-memory interface, v2.0).
//!
//! ```text
//!  ring region                                  buffer region (slot i at i * 2048), mapped twice in a row
//!  +--------------------------------------+     +---------+---------+-- ... --+---------+ - - - - -+
//!  | cookie flags head                    |     | slot 0  | slot 1  |         | slot n-1|  slot 0  : again
//!  | tail                                 |     +---------+---------+-- ... --+---------+ - - - - -+
//!  | desc 0 | desc 1 | ... | desc n-1     |       ^ offset, length
//!  +--------------------------------------+
//! ```
//!
//! One [`Producer`] fills slots and advances `head`; one [`Consumer`] reads them and advances `tail`. Both
//! indices run freely and wrap at 2^16. A frame longer than a slot takes a chain of neighbouring slots; since
//! the buffer region is mapped twice in a row, every frame is one contiguous run of bytes for us, whatever its
//! length and wherever it starts, while the descriptors stay what memif prescribes.

mod consumer;
#[cfg(test)]
mod hostile;
mod labels;
mod landing;
pub(crate) mod layout;
mod producer;
mod region;
mod shared;

pub use consumer::Consumer;
pub use landing::Landing;
pub use layout::SLOT;
pub use producer::Producer;
pub use shared::{MAX_SLOTS, MIN_SLOTS};

/// A ring of `slots` slots of 2 KiB: the end that fills and the end that drains.
///
/// # Errors
/// If `slots` is not a power of two in [`MIN_SLOTS`]..=[`MAX_SLOTS`], or memory cannot be had.
pub fn ring(name: &str, slots: u16) -> Result<(Producer, Consumer), crate::Error> {
    let shared = std::sync::Arc::new(shared::Shared::new(name, slots)?);
    Ok((Producer::new(shared.clone()), Consumer::new(shared)))
}
