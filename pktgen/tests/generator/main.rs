//! Generators on virtual ports, in virtual time.

mod bed;
mod failing;
mod pacing;
mod receiving;
mod sending;
