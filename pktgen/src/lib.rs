//! The pkt-gen style generator and receiver, as an app that runs on any port.
#![forbid(unsafe_code)]
