//! The host's stack as a port, beside an AF_XDP port, between two network namespaces. Needs root.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use ports::afxdp::{self, Mode, Options};
use ports::checksum::{finish, sum};
use ports::contract::{beside, eventually, in_namespace, ip, open_when_free, veth};
use ports::{Burst, Error, Frame, Interface, Rx, Tx, host};

const HOST: &str = "192.0.2.1";

/// Whether a command succeeds.
fn succeeds(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

/// Forwards what is there from one port to another, and fills in the checksums that were left.
fn forward(rx: &mut dyn Rx, tx: &mut dyn Tx) -> usize {
    let mut burst = Burst::new();
    rx.receive(&mut burst);
    for frame in &burst {
        let mut bytes = frame.to_vec();
        if frame.offload().needs_csum() && !tx.capabilities().takes(bytes.len(), frame.offload()) {
            let start = usize::from(frame.offload().csum_start);
            let field = start + usize::from(frame.offload().csum_offset);
            let checksum = finish(sum(&bytes[start..]));
            bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
            tx.transmit(&[Frame::new(&bytes)]);
        } else {
            tx.transmit(&[Frame::with_offload(&bytes, frame.offload())]);
        }
    }
    let n = burst.len();
    drop(burst);
    rx.release(n);
    tx.flush();
    n
}

/// The host echoes whatever comes to its port 7.
fn echo() {
    let udp = UdpSocket::bind("0.0.0.0:7").expect("bind");
    std::thread::spawn(move || {
        let mut datagram = [0; 2000];
        while let Ok((len, from)) = udp.recv_from(&mut datagram) {
            let _ = udp.send_to(&datagram[..len], from);
        }
    });
    let tcp = TcpListener::bind("0.0.0.0:7").expect("bind");
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut text = [0; 5];
            let _ = stream.read_exact(&mut text).and_then(|()| stream.write_all(&text));
        }
    });
}

/// A datagram and a connection to the host and back.
fn reach_the_host() -> std::io::Result<()> {
    let patience = Some(Duration::from_secs(20));
    let udp = UdpSocket::bind("0.0.0.0:0")?;
    udp.set_read_timeout(patience)?;
    udp.connect((HOST, 7))?;
    let (sent, mut received) = ([0x5a; 1000], [0; 2000]);
    udp.send(&sent)?;
    let len = udp.recv(&mut received)?;
    assert_eq!(received[..len], sent);
    let mut tcp = TcpStream::connect_timeout(
        &format!("{HOST}:7").parse().expect("an address"),
        Duration::from_secs(20),
    )?;
    tcp.set_read_timeout(patience)?;
    tcp.write_all(b"hello")?;
    let mut answer = [0; 5];
    tcp.read_exact(&mut answer)?;
    assert_eq!(&answer, b"hello");
    Ok(())
}

/// A second namespace with the far end `veth1` in it, which tries to reach the host whenever asked to.
struct Peer {
    ask: Sender<()>,
    answers: Receiver<std::io::Result<()>>,
}

impl Peer {
    fn new() -> Self {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        let (name, named) = channel();
        beside(move || Self::run(&name, &asked, &answer));
        let thread: rustix::thread::Pid = named.recv().expect("the peer's thread");
        ip(&format!("link set veth1 netns {}", thread.as_raw_nonzero()));
        let peer = Self { ask, answers };
        peer.ask.send(()).expect("the peer listens");
        peer.answers.recv().expect("the peer answers").expect("the peer is ready");
        peer
    }

    fn run(name: &Sender<rustix::thread::Pid>, asked: &Receiver<()>, answer: &Sender<std::io::Result<()>>) {
        name.send(rustix::thread::gettid()).expect("the test waits");
        asked.recv().expect("the test moves veth1 here");
        ip("link set veth1 up");
        ip("addr add 192.0.2.2/24 dev veth1");
        assert!(succeeds("ethtool -K veth1 tx off"), "ethtool");
        answer.send(Ok(())).expect("the test waits");
        while asked.recv().is_ok() {
            answer.send(reach_the_host()).expect("the test waits");
        }
    }

    /// Has the peer reach the host, while `forward` forwards.
    fn reach(&self, mut forward: impl FnMut()) -> std::io::Result<()> {
        self.ask.send(()).expect("the peer listens");
        loop {
            forward();
            match self.answers.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Empty) => std::thread::yield_now(),
                Err(TryRecvError::Disconnected) => panic!("the peer is gone"),
            }
        }
    }
}

/// `veth0` with the host's address, the host's services, and the peer beyond.
fn host_and_peer() -> Peer {
    veth("veth0", "veth1");
    ip(&format!("addr add {HOST}/24 dev veth0"));
    let peer = Peer::new();
    echo();
    peer
}

#[test]
fn the_host_stays_reachable_through_two_ports() {
    in_namespace(|| {
        let peer = host_and_peer();
        let mut nic = afxdp::open("veth0", &Options { mode: Mode::Native, ..Options::default() }).unwrap();
        let mut stack = host::open("veth0").unwrap();
        assert_eq!(stack.notes, ["veth0: the host's stack is behind veth0.host"]);
        let (mut inwards, mut outwards) = (0, 0);
        peer.reach(|| {
            inwards += forward(&mut *nic.rx, &mut *stack.tx);
            outwards += forward(&mut *stack.rx, &mut *nic.tx);
        })
        .unwrap();
        // ARP, a datagram, and a connection with its handshake, to and fro; acknowledgements may ride along.
        assert!(inwards >= 5 && outwards >= 4, "{inwards} frames inwards, {outwards} outwards");
        assert!(
            inwards < 50 && outwards < 50,
            "frames go in circles: {inwards} inwards, {outwards} outwards"
        );
        assert_eq!(nic.counters.read().drops() + stack.counters.read().drops(), 0);

        drop((nic, stack));
        let gone = || matches!(Interface::find("veth0.host"), Err(Error::NoInterface(_)));
        eventually("the TAP stays behind", gone);
        peer.reach(|| ()).expect("the host as it was");
    });
}

/// Frames to the host do not come back by the interface, and the TAP has nothing to say of its own.
#[test]
fn the_port_carries_the_hosts_frames_and_no_others() {
    in_namespace(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0").unwrap();
        veth("veth0", "veth1");
        std::fs::write("/proc/sys/net/ipv6/conf/veth0/disable_ipv6", "1").unwrap();
        ip("link set veth0 mtu 3000");
        ip(&format!("addr add {HOST}/24 dev veth0"));
        let mut stack = host::open("veth0").unwrap();
        assert_eq!(stack.tx.capabilities().frame, 3014);
        std::thread::sleep(Duration::from_millis(1500)); // router solicitations come within a second
        let mut burst = Burst::new();
        stack.rx.receive(&mut burst);
        assert!(burst.is_empty(), "{burst:?}");
        drop(burst);
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        udp.send_to(b"?", "192.0.2.9:7").unwrap();
        let mut burst = Burst::new();
        stack.rx.receive(&mut burst);
        let ethertypes: Vec<_> = burst.iter().map(|f| [f.to_vec()[12], f.to_vec()[13]]).collect();
        assert_eq!(ethertypes, [[0x08, 0x06]], "who has 192.0.2.9?");
    });
}

#[test]
fn errors_name_the_way_out() {
    in_namespace(|| {
        let error = |name: &str| host::open(name).err().expect("an error").to_string();
        assert_eq!(error("veth0"), "veth0: no such interface (try: ip link)");
        veth("veth0", "veth1");
        let generic = afxdp::open("veth0", &Options { mode: Mode::Generic, ..Options::default() }).unwrap();
        assert!(error("veth0").contains("XDP in generic mode"), "{}", error("veth0"));
        drop(generic);
        let index = Interface::find("veth0").unwrap().index;
        eventually("the program stays", || bpf::attached(index).unwrap().is_none());
        let held = open_when_free(|| host::open("veth0"));
        assert!(error("veth0").contains("taken: the host's side is open already"), "{}", error("veth0"));
        drop(held);
        drop(open_when_free(|| host::open("veth0")));
        ip("link set veth0 down");
        assert_eq!(error("veth0"), "veth0: interface is down (try: ip link set veth0 up)");
    });
}
