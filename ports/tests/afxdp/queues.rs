//! Ports of interfaces with several queues.

use std::os::fd::AsRawFd;

use ports::Port;
use ports::afxdp::{self, Options};
use ports::contract::{Far, Wire, eventually, in_namespace, ip, suite};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::flows::{FLOWS, send_flows, take_flows};
use crate::open;

#[test]
fn several_queues_pass_the_contract_too() {
    in_namespace(|| {
        veth_with_queues();
        let small = Options { slots: 256, ..Options::default() };
        suite(&mut || (open(&small), Box::new(Wire::open("veth1", false)) as Box<dyn Far>));
    });
}

/// A veth pair with four queues each way.
fn veth_with_queues() {
    ip("link add veth0 numrxqueues 4 numtxqueues 4 type veth peer name veth1 numrxqueues 4 numtxqueues 4");
    ip("link set veth0 up");
    ip("link set veth1 up");
}

const FRAMES_PER_FLOW: u32 = 50;
/// Frames that are released at a time.
const A_FEW: usize = 7;

#[test]
fn every_queue_is_received_and_wakes() {
    in_namespace(|| {
        veth_with_queues();
        let mut port = open(&Options::default());
        let mut far = Wire::open("veth1", false);
        assert!(!port.rx.arm());
        send_flows(&mut far, FRAMES_PER_FLOW);
        let fd = port.rx.fd().expect("a descriptor");
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)), Ok(1), "not woken");
        let (mut taken, mut next) = (0, [0; FLOWS as usize]);
        eventually("frames are missing", || {
            taken += take_flows(&mut port, &mut next, A_FEW);
            taken == u32::from(FLOWS) * FRAMES_PER_FLOW
        });
        assert_eq!(next, [FRAMES_PER_FLOW; FLOWS as usize]);
    });
}

/// Descriptors that an epoll descriptor watches.
fn watched(port: &Port) -> usize {
    let fd = port.rx.fd().expect("a descriptor").as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("fdinfo");
    info.lines().filter(|line| line.starts_with("tfd:")).count()
}

#[test]
fn nobody_waits_on_the_sockets_of_a_port_that_is_polled() {
    in_namespace(|| {
        veth_with_queues();
        let mut port = open(&Options::default());
        assert_eq!(watched(&port), 0);
        for _ in 0..2 {
            port.rx.arm();
            port.rx.arm();
            assert_eq!(watched(&port), 4);
            port.rx.disarm();
            port.rx.disarm();
            assert_eq!(watched(&port), 0);
        }
    });
}

#[test]
fn a_queue_that_is_not_taken_stays_with_the_stack() {
    in_namespace(|| {
        veth_with_queues();
        let mut port = open(&Options { queues: Some(1), ..Options::default() });
        assert_eq!(port.notes, ["veth0: receive queues 1 to 3 stay with the host's stack"]);
        let (mut far, mut stack) = (Wire::open("veth1", false), Wire::open("veth0", false));
        send_flows(&mut far, FRAMES_PER_FLOW);
        let (mut taken, mut passed) = (0, 0);
        eventually("frames are missing", || {
            taken += take_flows(&mut port, &mut [0; FLOWS as usize], A_FEW);
            passed += u32::from(stack.receive().is_some());
            taken + passed == u32::from(FLOWS) * FRAMES_PER_FLOW
        });
        assert!(taken > 0 && passed > 0, "{taken} taken, {passed} passed");
        drop(port);
        let error = afxdp::open("veth0", &Options { queues: Some(5), ..Options::default() }).err().unwrap();
        assert_eq!(error.to_string(), "veth0: 5 queues: it has 4, and a port takes 1 to 64");
    });
}
