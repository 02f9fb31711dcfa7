//! Ping, pong and stamps on virtual ports, in virtual time.

mod common;
mod ping;
mod pong;
mod stamps;
