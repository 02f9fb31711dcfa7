//! End to end: the real programs in network namespaces, against stock iperf3, ping and tcpdump.
//!
//! Each test says its objective first and makes its own bed. They need root; run them one at a time
//! (`scripts/test` does), since every bed keeps a core or two busy.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod dpdk;
mod frames;
mod guests;
mod lifecycle;
mod memif;
mod scripts;
mod tcp;
mod threads;
mod usage;
mod vanish;
