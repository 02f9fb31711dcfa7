//! Why a port could not join.

use crate::MAX_PORTS;

/// A port could not join a switch. The text is for users.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A member of that name is there already.
    #[error("{switch}: port taken: {port}")]
    Taken {
        /// The switch.
        switch: String,
        /// The name asked for.
        port: String,
    },
    /// Every index is in use.
    #[error("{switch}: {MAX_PORTS} ports is all a switch has")]
    Full {
        /// The switch.
        switch: String,
    },
}
