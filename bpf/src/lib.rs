//! The XDP program that hands frames to AF_XDP sockets, and its libbpf-rs skeleton.
