//! Captures as ports: what one writes, another reads; files of every kind, sound and broken.

mod build;
mod kinds;
mod port;
