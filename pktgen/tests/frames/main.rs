//! What frames look like that come out of a generator, and what a receiver makes of them.

mod bed;
mod contents;
mod flows;
mod order;
mod sizes;
