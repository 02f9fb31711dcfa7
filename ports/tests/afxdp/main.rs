//! AF_XDP ports on veths, each test in a network namespace of its own. Needs root.

#[path = "../flows/mod.rs"]
mod flows;
mod leaving;
mod opening;
mod queues;

use std::net::UdpSocket;
use std::process::Command;

use ports::afxdp::{self, Mode, Options};
use ports::contract::{
    Far, Link, Wire, eventually, frame, in_namespace, ip, link_says, open_when_free, sequence, suite, veth,
};
use ports::{Burst, Frame, Offload, Port, Reason};

const MODES: [Mode; 2] = [Mode::Native, Mode::Generic];

fn with(mode: Mode) -> Options {
    Options { mode, ..Options::default() }
}

fn open(options: &Options) -> Port {
    open_when_free(|| afxdp::open("veth0", options))
}

fn ethtool(arguments: &str) {
    let output = Command::new("ethtool").args(arguments.split_whitespace()).output().expect("run ethtool");
    assert!(output.status.success(), "ethtool {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_contract_holds() {
    for mode in MODES {
        in_namespace(move || {
            veth("veth0", "veth1");
            suite(&mut || (open(&with(mode)), Box::new(Wire::open("veth1", false)) as Box<dyn Far>));
        });
    }
}

/// A real sender: the kernel's UDP, whose device is asked to fill in checksums, and does not.
#[test]
fn checksums_left_to_be_filled_in_are_noticed() {
    for mode in MODES {
        in_namespace(move || {
            veth("veth0", "veth1");
            ip("addr add 192.0.2.1/24 dev veth1");
            ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev veth1 nud permanent");
            let mut port = open(&with(mode));
            let sender = UdpSocket::bind("192.0.2.1:0").unwrap();
            let mut send_and_take = || {
                for len in 0..100 {
                    sender.send_to(&vec![0x5a; 10 * len], "192.0.2.2:9").unwrap();
                }
                let mut taken = 0;
                let before = port.counters.read().dropped(Reason::BadChecksum);
                eventually("datagrams are missing", || {
                    let mut burst = Burst::new();
                    port.rx.receive(&mut burst);
                    let (all, udp) = (burst.len(), burst.iter().filter(|f| f.to_vec()[23] == 17).count());
                    drop(burst);
                    port.rx.release(all);
                    taken += udp as u64;
                    taken + port.counters.read().dropped(Reason::BadChecksum) - before == 100
                });
                taken
            };
            assert_eq!(send_and_take(), 0, "frames with unfilled checksums came through");
            ethtool("-K veth1 tx off");
            assert_eq!(send_and_take(), 100, "good frames were dropped");
        });
    }
}

#[test]
fn the_halves_work_on_two_threads() {
    const COUNT: u32 = 50_000;
    in_namespace(|| {
        veth("veth0", "veth1");
        let (here, there) = (open(&Options::default()), afxdp::open("veth1", &Options::default()).unwrap());
        let (mut tx, mut link) = (here.tx, Link::new(there, Box::new(Wire::open("veth1", false))));
        let sender = std::thread::spawn(move || {
            let mut sent = 0;
            while sent < COUNT {
                let frames: Vec<_> = (sent..COUNT.min(sent + 64)).map(|i| frame(i, 60)).collect();
                let views: Vec<_> = frames.iter().map(|f| Frame::new(f)).collect();
                sent += u32::try_from(tx.transmit(&views).taken).unwrap();
                tx.flush();
            }
            tx
        });
        let mut taken = 0_u32;
        let mut last = None;
        eventually("frames are missing that no counter knows of", || {
            for number in link.take().iter().filter_map(|f| sequence(f)) {
                assert!(last < Some(number), "out of order");
                last = Some(number);
                taken += 1;
            }
            link.port.rx.arm();
            let lost = link.port.counters.read().dropped(Reason::Kernel) + veth_drops("veth0");
            u64::from(taken) + lost == u64::from(COUNT)
        });
        sender.join().unwrap();
    });
}

/// Frames that the veth itself lost, its queue of 256 being full, which no socket knows of.
fn veth_drops(name: &str) -> u64 {
    let output = Command::new("ip").args(["-j", "-s", "link", "show", name]).output().expect("run ip");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tx = &text[text.find("\"tx\":").expect("statistics")..];
    let dropped = &tx[tx.find("\"dropped\":").expect("dropped") + 10..];
    dropped.split([',', '}']).next().and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn frames_that_a_dead_link_swallows_are_counted() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let mut port = open(&Options::default());
        ip("link set veth1 down");
        let frames: Vec<_> = (0..100).map(|i| frame(i, 60)).collect();
        let views: Vec<_> = frames.iter().map(|f| Frame::new(f)).collect();
        assert_eq!(port.tx.transmit(&views).frames, 100);
        port.tx.flush();
        assert_eq!(port.counters.read().dropped(Reason::Kernel), 100);
    });
}

/// What was handed over before anybody could know goes when the link is up again, and nothing else does: by either way
/// of sending.
#[test]
fn a_link_that_is_down_or_gone_takes_nothing() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let mut link = Link::new(open(&Options::default()), Box::new(Wire::open("veth1", false)));
        let put = |port: &mut Port, i: u32| {
            let bytes = frame(i, 60);
            let taken = port.tx.transmit(&[Frame::new(&bytes)]);
            assert_eq!(taken.taken, 1, "not held back");
            port.tx.reserve(60).expect("a slot").copy_from_slice(&bytes);
            port.tx.commit(60, Offload::NONE);
            port.tx.flush();
            taken.frames
        };
        ip("link set veth0 down");
        assert_eq!(put(&mut link.port, 0), 1, "nobody knows yet");
        assert_eq!((1..1000).map(|i| put(&mut link.port, i)).sum::<u64>(), 0);
        assert_eq!((link.port.counters.read().dropped(Reason::Error), link.port.tx.unsent()), (999, 2));
        ip("link set veth0 up");
        assert_eq!(put(&mut link.port, 1000), 1, "up again");
        let arrived = (0..4).filter_map(|_| sequence(&link.arrives().0)).collect::<Vec<_>>();
        assert_eq!(arrived, [0, 0, 1000, 1000]);
        assert_eq!(link.port.counters.read().dropped(Reason::Error), 999);
        ip("link del veth0");
        put(&mut link.port, 1001);
        assert_eq!(put(&mut link.port, 1002), 0);
    });
}

/// Who rests has looked before.
#[test]
fn a_link_that_went_down_during_a_rest_takes_nothing() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let mut port = open(&Options::default());
        ip("link set veth0 down");
        port.rx.arm();
        port.rx.disarm();
        let frames: Vec<_> = (0..100).map(|i| frame(i, 60)).collect();
        let views: Vec<_> = frames.iter().map(|f| Frame::new(f)).collect();
        let sent = port.tx.transmit(&views);
        assert_eq!((sent.taken, sent.frames, port.tx.unsent()), (100, 0, 0));
    });
}

/// Beyond a page less its headers, veth has no native XDP for frames in one piece.
#[test]
fn the_largest_frames_pass() {
    in_namespace(|| {
        veth("veth0", "veth1");
        ip("link set veth0 mtu 3822");
        ip("link set veth1 mtu 3822");
        let port = open(&Options::default());
        assert_eq!(port.notes, ["veth0: driver has no native XDP at MTU 3822: generic mode"]);
        let mut link = Link::new(port, Box::new(Wire::open("veth1", false)));
        let largest = frame(1, 3822 + 14);
        link.send(&largest);
        assert_eq!(link.take_exactly(1)[0], largest);
        link.put_one(&largest, Offload::NONE);
        assert_eq!(link.arrives().0, largest);
    });
}
