//! Ports of several queues, each in the hands of a thread of its own: AF_XDP, TAPs and raw sockets, each test in a network
//! namespace of its own. Needs root.

#[path = "flows/mod.rs"]
mod flows;

use ports::afxdp::{self, Options};
use ports::contract::{
    Far, Wire, eventually, frame, in_namespace, ip, link_says, open_when_free, suite, veth,
};
use ports::{BURST, Burst, Error, Frame, Port, packet, tap};

use flows::{FLOWS, send_flows, take_flows};

/// A veth pair with so many queues to receive by at its first end, and to send by.
fn veth_with_queues(rx: usize, tx: usize) {
    ip(&format!(
        "link add veth0 numrxqueues {rx} numtxqueues {tx} type veth peer name veth1 numrxqueues {tx} numtxqueues {rx}"
    ));
    ip("link set veth0 up");
    ip("link set veth1 up");
}

const FRAMES_PER_FLOW: u32 = 10;

/// Every queue receives something, the flows keep their order, and nothing is lost.
fn spread(ports: &mut [Port], far: &mut Wire) {
    send_flows(far, FRAMES_PER_FLOW);
    let (mut taken, mut next) = (vec![0; ports.len()], [0; FLOWS as usize]);
    eventually("frames are missing", || {
        for (port, taken) in ports.iter_mut().zip(&mut taken) {
            *taken += take_flows(port, &mut next, BURST);
        }
        taken.iter().sum::<u32>() == u32::from(FLOWS) * FRAMES_PER_FLOW
    });
    assert!(taken.iter().all(|n| *n > 0), "{taken:?}");
}

#[test]
fn each_queue_is_a_port_by_itself() {
    in_namespace(|| {
        veth_with_queues(4, 4);
        let mut ports = afxdp::open_queues("veth0", &Options::default(), 4).expect("open the queues");
        let mut far = Wire::open("veth1", false);
        spread(&mut ports, &mut far);
        for (number, port) in (0..).zip(&mut ports) {
            let sent = frame(number, 60);
            assert_eq!(port.tx.transmit(&[Frame::new(&sent)]).frames, 1);
            port.tx.flush();
            let mut arrived = None;
            eventually("nothing arrives", || {
                arrived = far.receive();
                arrived.is_some()
            });
            assert_eq!(arrived.unwrap().0, sent, "by queue {number}");
        }
        let before = link_says("veth0");
        assert!(before.contains("prog/xdp"), "{before}");
        ports.truncate(1);
        assert!(link_says("veth0").contains("prog/xdp"), "the last port takes the program with it");
        drop(ports);
        eventually("something stays behind", || !link_says("veth0").contains("xdp"));
    });
}

#[test]
fn one_of_the_queues_keeps_the_contract() {
    in_namespace(|| {
        veth("veth0", "veth1");
        suite(&mut || {
            let mut ports = open_when_free(|| afxdp::open_queues("veth0", &Options::default(), 1));
            (ports.remove(0), Box::new(Wire::open("veth1", false)) as Box<dyn Far>)
        });
    });
}

#[test]
fn there_are_no_more_threads_than_queues() {
    in_namespace(|| {
        veth_with_queues(4, 2);
        let refused =
            afxdp::open_queues("veth0", &Options::default(), 3).err().expect("an error").to_string();
        assert_eq!(refused, "veth0: a queue for each of 3 threads: it has 2 (try: -p 2)");
        assert_eq!(afxdp::open_queues("veth0", &Options::default(), 2).unwrap().len(), 2);
    });
}

#[test]
fn a_tap_has_a_queue_for_each_thread() {
    in_namespace(|| {
        let mut ports = tap::open_queues("tap0", tap::Options::default(), 3).expect("open the queues");
        let mut far = Wire::open("tap0", true);
        spread(&mut ports, &mut far);
        for (number, port) in (0..).zip(&mut ports) {
            let sent = frame(number, 60);
            assert_eq!(port.tx.transmit(&[Frame::new(&sent)]).frames, 1);
            assert_eq!(far.receive().expect("a frame").0, sent, "by queue {number}");
        }
        drop(ports);
        eventually("the TAP stays behind", || gone("tap0"));
    });
}

fn gone(name: &str) -> bool {
    matches!(ports::Interface::find(name), Err(Error::NoInterface(_)))
}

#[test]
fn a_tap_of_one_queue_has_no_second() {
    in_namespace(|| {
        let _one = tap::open("tap0", tap::Options::default()).expect("open the port");
        let refused =
            tap::open_queues("tap0", tap::Options::default(), 2).err().expect("an error").to_string();
        assert!(
            refused.starts_with("tap0: taken: an interface that is no TAP, or one of a single queue"),
            "{refused}"
        );
    });
}

#[test]
fn raw_sockets_share_the_frames() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let mut ports =
            packet::open_queues("veth0", packet::Options::default(), 3).expect("open the sockets");
        let mut far = Wire::open("veth1", true);
        spread(&mut ports, &mut far);
        for (number, port) in (0..).zip(&mut ports) {
            let sent = frame(number, 60);
            assert_eq!(port.tx.transmit(&[Frame::new(&sent)]).frames, 1);
            assert_eq!(far.receive().expect("a frame").0, sent, "by socket {number}");
        }
        for port in &mut ports {
            let mut burst = Burst::new();
            port.rx.receive(&mut burst);
            assert!(burst.is_empty(), "a socket hears another's frames");
        }
    });
}

#[test]
fn a_tap_queue_and_a_shared_socket_keep_the_contract() {
    in_namespace(|| {
        suite(&mut || {
            eventually("the TAP before stays", || gone("tap0")); // or flows would go to its queue
            let mut ports = tap::open_queues("tap0", tap::Options::default(), 1).expect("open the queue");
            (ports.remove(0), Box::new(Wire::open("tap0", true)) as Box<dyn Far>)
        });
        veth("veth0", "veth1");
        suite(&mut || {
            let mut ports =
                packet::open_queues("veth0", packet::Options::default(), 1).expect("open the socket");
            (ports.remove(0), Box::new(Wire::open("veth1", true)) as Box<dyn Far>)
        });
    });
}
