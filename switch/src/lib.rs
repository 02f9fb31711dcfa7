//! The learning bridge: MAC table, forwarding decision, offload stage; pure, no I/O, no clock.
#![forbid(unsafe_code)]
