//! `vale-ctl`: netmap's flags and output lines, and readable verbs beside them.

mod args;
mod help;
mod run;

pub use args::Args;
pub use run::{Failure, run};
