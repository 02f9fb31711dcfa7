//! AF_XDP ports on veths, each test in a network namespace of its own. Needs root.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use ports::afxdp::{self, Mode, Options};
use ports::contract::{
    Far, Link, STATION, Wire, eventually, frame, in_namespace, ip, open_when_free, sequence, suite, veth,
};
use ports::{Burst, Error, Frame, Interface, Offload, Port, Reason};

const MODES: [Mode; 2] = [Mode::Native, Mode::Generic];

fn with(mode: Mode) -> Options {
    Options { mode, ..Options::default() }
}

fn open(options: &Options) -> Port {
    open_when_free(|| afxdp::open("veth0", options))
}

/// What `ip -d link` says of an interface.
fn link_says(name: &str) -> String {
    let output = Command::new("ip").args(["-d", "link", "show", name]).output().expect("run ip (iproute2)");
    String::from_utf8_lossy(&output.stdout).into_owned()
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

const FLOWS: u16 = 64;
const FRAMES_PER_FLOW: u32 = 50;

/// Sends frames of UDP flows in turn, each with its number; the kernel spreads flows over queues.
fn send_flows(far: &mut Wire) {
    for number in 0..FRAMES_PER_FLOW {
        for flow in 0..FLOWS {
            let mut f = frame(number, 60);
            f[12..14].copy_from_slice(&[0x08, 0x00]);
            f[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            f[34..36].copy_from_slice(&flow.to_be_bytes());
            f[36..42].copy_from_slice(&[0, 9, 0, 26, 0, 0]); // no checksum
            f[42..46].copy_from_slice(&number.to_be_bytes());
            assert!(far.send(&f, Offload::NONE));
        }
    }
}

/// The flow of a frame of `send_flows`, and its number.
fn flow_of(f: &[u8]) -> Option<(u16, u32)> {
    let ours = Frame::new(f).stations()?.1 == STATION;
    ours.then(|| (u16::from_be_bytes([f[34], f[35]]), u32::from_be_bytes([f[42], f[43], f[44], f[45]])))
}

/// Takes frames of `send_flows`, releasing them a few at a time, and checks the order of each flow.
fn take_flows(port: &mut Port, next: &mut [u32]) -> u32 {
    let mut burst = Burst::new();
    port.rx.receive(&mut burst);
    let keep = burst.len().min(7);
    let flows: Vec<_> = burst[..keep].iter().filter_map(|f| flow_of(&f.to_vec())).collect();
    drop(burst);
    port.rx.release(keep);
    for (flow, number) in &flows {
        let next = &mut next[usize::from(*flow)];
        assert!(number >= next, "flow {flow} out of order");
        *next = number + 1;
    }
    u32::try_from(flows.len()).expect("a burst")
}

#[test]
fn every_queue_is_received_and_wakes() {
    in_namespace(|| {
        veth_with_queues();
        let mut port = open(&Options::default());
        let mut far = Wire::open("veth1", false);
        assert!(!port.rx.arm());
        send_flows(&mut far);
        let fd = port.rx.fd().expect("a descriptor");
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)), Ok(1), "not woken");
        let (mut taken, mut next) = (0, [0; FLOWS as usize]);
        eventually("frames are missing", || {
            taken += take_flows(&mut port, &mut next);
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
        send_flows(&mut far);
        let (mut taken, mut passed) = (0, 0);
        eventually("frames are missing", || {
            taken += take_flows(&mut port, &mut [0; FLOWS as usize]);
            passed += u32::from(stack.receive().is_some());
            taken + passed == u32::from(FLOWS) * FRAMES_PER_FLOW
        });
        assert!(taken > 0 && passed > 0, "{taken} taken, {passed} passed");
        drop(port);
        let error = afxdp::open("veth0", &Options { queues: Some(5), ..Options::default() }).err().unwrap();
        assert_eq!(error.to_string(), "veth0: 5 queues: it has 4, and a port takes 1 to 64");
    });
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

#[test]
fn nothing_stays_behind() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let before = link_says("veth0");
        assert!(before.contains("promiscuity 0") && !before.contains("xdp"), "{before}");
        for _ in 0..10 {
            let port = open(&Options::default());
            let open = link_says("veth0");
            assert!(open.contains("promiscuity 1") && open.contains("prog/xdp"), "{open}");
            assert_eq!(port.mac, Some(Interface::find("veth0").unwrap().mac));
            assert_eq!(port.notes, [] as [&str; 0]);
            drop(port);
            eventually("something stays behind", || link_says("veth0") == before);
        }
    });
}

/// Plays the process that is killed in `nothing_stays_behind_a_killed_process`.
#[test]
fn hold_until_killed() {
    if std::env::var_os("AFXDP_TEST_HOLD").is_some() {
        let _port = open(&Options::default());
        std::thread::sleep(std::time::Duration::from_secs(30));
    }
}

#[test]
fn nothing_stays_behind_a_killed_process() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let before = link_says("veth0");
        let test = std::env::current_exe().unwrap();
        let mut holder = Command::new(test);
        holder.args(["--exact", "hold_until_killed"]).env("AFXDP_TEST_HOLD", "1");
        let mut holder = holder.spawn().unwrap();
        eventually("the holder does not open", || link_says("veth0").contains("prog/xdp"));
        std::thread::sleep(std::time::Duration::from_millis(50)); // between attaching and the last bind
        holder.kill().unwrap();
        holder.wait().unwrap();
        let port = open(&Options::default());
        drop(port);
        eventually("something stays behind", || link_says("veth0") == before);
    });
}

fn error(name: &str, options: &Options) -> String {
    afxdp::open(name, options).err().expect("an error").to_string()
}

/// A program of somebody else's, once the one before it is gone.
fn attached(index: u32) -> bpf::XdpProgram {
    let mut program = None;
    eventually("the interface stays busy", || {
        program = bpf::XdpProgram::load_and_attach(index, bpf::Mode::Native).ok();
        program.is_some()
    });
    program.expect("attached")
}

#[test]
fn errors_name_the_way_out() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let default = Options::default();
        assert_eq!(error("veth7", &default), "veth7: no such interface (try: ip link)");
        let slots = Options { slots: 100, ..default };
        assert_eq!(error("veth0", &slots), "veth0: 100 slots: a ring has a power of two of 64 to 16384");

        ip("link set veth0 down");
        assert_eq!(error("veth0", &default), "veth0: interface is down (try: ip link set veth0 up)");
        ip("link set veth0 up mtu 9000");
        let long = error("veth0", &default);
        assert!(long.contains("MTU 9000") && long.contains("mtu 3822"), "{long}");
        ip("link set veth0 mtu 1500");

        let held = open(&default);
        assert!(matches!(afxdp::open("veth0", &default), Err(Error::Taken { .. })));
        drop(held);

        let index = Interface::find("veth0").unwrap().index;
        let program = attached(index);
        for mode in [Mode::Auto, Mode::Native, Mode::Generic] {
            let taken = error("veth0", &with(mode));
            assert!(taken.starts_with("veth0: taken: an XDP program is attached"), "{taken}");
            assert!(taken.contains("ip link set dev veth0 xdp off"), "{taken}");
        }
        drop(program);
        open(&default);
    });
}

/// A machine whose cores are taken may keep the holder from letting go for longer than anybody waits: not always.
#[test]
fn a_busy_queue_is_waited_for() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let waited_for = || {
            let held = open(&Options::default());
            let holder = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(40));
                drop(held);
            });
            let opened = afxdp::open("veth0", &Options::default());
            holder.join().unwrap();
            opened.is_ok()
        };
        assert!((0..20).any(|_| waited_for()));
    });
}

#[test]
fn missing_capabilities_are_named() {
    in_namespace(|| {
        veth("veth0", "veth1");
        let all = capabilities(None).unwrap();
        let without = |dropped: CapabilitySet| {
            let mut some = all;
            some.effective -= dropped;
            set_capabilities(None, some).unwrap();
            let error = error("veth0", &Options::default());
            set_capabilities(None, all).unwrap();
            error
        };
        let net_raw = without(CapabilitySet::NET_RAW);
        assert!(net_raw.contains("CAP_NET_RAW"), "{net_raw}");
        let bpf = without(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN);
        assert!(bpf.contains("CAP_BPF"), "{bpf}");
        let net_admin = without(CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN);
        assert!(net_admin.contains("CAP_NET_ADMIN"), "{net_admin}");
        let clean = |says: &str| !says.contains("xdp") && says.contains("promiscuity 0");
        eventually("something stays behind", || clean(&link_says("veth0")));
        open(&Options::default());
    });
}

#[test]
fn generic_mode_steps_in_and_says_so() {
    in_namespace(|| {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        let port = afxdp::open("br0", &Options::default()).unwrap();
        assert_eq!(port.notes, ["br0: driver has no native XDP: generic mode"]);
        drop(port);
        let native = error("br0", &with(Mode::Native));
        assert_eq!(native, "br0: not supported: driver has no native XDP (try: generic mode)");
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
