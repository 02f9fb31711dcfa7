//! What comes off a wire need not make sense.

use super::*;
use proptest::prelude::*;

/// A host with a listening port and an established connection, its peer, and frames that passed between.
fn scene() -> (Net, Vec<Vec<u8>>) {
    let mut n = Net::direct(Capabilities::wire(1500));
    let (c, s) = n.connected(SocketOptions { window: Some(100_000), ..SocketOptions::default() });
    n.a.stack.send_pattern(c, 3000);
    n.a.stack.connect(TO_B, SocketOptions::default()).unwrap();
    n.b.stack.send_pattern(s, 3000);
    n.b.poll(n.now);
    n.a.poll(n.now);
    let mut burst = Burst::new();
    n.b.port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
    drop(burst);
    assert!(frames.len() >= 2);
    (n, frames)
}

/// Puts the checksums of a frame right, so that what is inside gets looked at.
pub(super) fn mend(bytes: &mut [u8]) {
    let Some(h) = ports::wire::Headers::parse(bytes, bytes.len()) else { return };
    if h.ip != ports::wire::Ip::V4 || h.protocol != ports::wire::TCP {
        return;
    }
    bytes[h.l3 + 10..h.l3 + 12].fill(0);
    let ip = ports::checksum::finish(ports::checksum::sum(&bytes[h.l3..h.l4]));
    bytes[h.l3 + 10..h.l3 + 12].copy_from_slice(&ip.to_be_bytes());
    let at = h.checksum_at();
    bytes[at..at + 2].fill(0);
    let (src, dst) = h.addresses(bytes).unwrap();
    let pseudo = ports::checksum::pseudo_header(src, dst, h.protocol, h.end - h.l4);
    let tcp = ports::checksum::finish(pseudo + ports::checksum::sum(&bytes[h.l4..h.end]));
    bytes[at..at + 2].copy_from_slice(&tcp.to_be_bytes());
}

fn feed(n: &mut Net, bytes: &[u8], after: Duration) {
    n.a.port.tx.transmit(&[Frame::new(bytes)]);
    n.now = n.now + after;
    n.b.poll(n.now);
    if let Some(c) = n.b.stack.accept(PORT) {
        n.b.stack.discard(c, 100);
        n.b.stack.close(c);
    }
    // Keep the way back free.
    let mut burst = Burst::new();
    n.a.port.rx.receive(&mut burst);
    let k = burst.len();
    drop(burst);
    n.a.port.rx.release(k);
}

/// Where to change a frame, to what, and whether to cut it.
type Change = (usize, u8, Option<usize>);

fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![0usize..80, 34usize..54, 0usize..1514];
    (place, any::<u8>(), proptest::option::weighted(0.1, 0usize..1514))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..30),
        kind in 0u8..3,
    ) {
        let (mut n, _) = scene();
        for mut bytes in frames {
            if bytes.len() > 24 && kind > 0 {
                bytes[..6].copy_from_slice(&mac(B).octets());
                bytes[12..14].copy_from_slice(if kind == 1 { &[8, 0] } else { &[8, 6] });
                bytes[14] = 0x45;
            }
            feed(&mut n, &bytes, TICK);
        }
    }

    #[test]
    fn mutated_frames_never_panic(
        changes in proptest::collection::vec((any::<usize>(), proptest::collection::vec(change(), 1..4), 0u64..2_000_000_000, any::<bool>()), 1..60),
    ) {
        let (mut n, frames) = scene();
        for (which, changes, after, mended) in changes {
            let mut bytes = frames[which % frames.len()].clone();
            for (at, value, cut) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
                bytes.truncate(cut.unwrap_or(bytes.len()));
            }
            if mended {
                mend(&mut bytes);
            }
            feed(&mut n, &bytes, Duration::from_nanos(after));
        }
    }

    /// Well-formed segments of the established connection with arbitrary numbers, flags and lengths.
    #[test]
    fn hostile_segments_never_panic(
        segments in proptest::collection::vec(
            (-70_000i32..200_000, -70_000i32..70_000, any::<u8>(), any::<u16>(), 0usize..1400, 0u64..300_000_000), 1..80),
    ) {
        let (mut n, frames) = scene();
        let base = frames.iter().max_by_key(|f| f.len()).unwrap().clone();
        let number = |at: usize| u32::from_be_bytes(*base[at..].first_chunk().unwrap());
        let (seq, ack) = (number(38), number(42));
        for (ds, da, flags, window, cut, after) in segments {
            let mut bytes = base[..54 + cut.min(base.len() - 54)].to_vec();
            let total = u16::try_from(bytes.len() - 14).unwrap();
            bytes[16..18].copy_from_slice(&total.to_be_bytes());
            bytes[38..42].copy_from_slice(&seq.wrapping_add_signed(ds).to_be_bytes());
            bytes[42..46].copy_from_slice(&ack.wrapping_add_signed(da).to_be_bytes());
            // Mostly what gets past the first checks.
            bytes[47] = if flags & 0x80 == 0 { 0x10 | flags & 1 } else { flags };
            bytes[48..50].copy_from_slice(&window.to_be_bytes());
            mend(&mut bytes);
            feed(&mut n, &bytes, Duration::from_nanos(after));
        }
    }
}

#[test]
fn runts_and_bad_checksums_are_counted() {
    let (mut n, frames) = scene();
    feed(&mut n, &[1, 2, 3], TICK);
    let mut bad = frames.iter().max_by_key(|f| f.len()).unwrap().clone();
    bad[60] ^= 1;
    feed(&mut n, &bad, TICK);
    let totals = n.b.port.counters.read();
    assert_eq!(totals.dropped(ports::Reason::Runt), 1);
    assert_eq!(totals.dropped(ports::Reason::BadChecksum), 1);
}

/// An ICMP echo request from `source` to `b`.
pub(super) fn ping(source: [u8; 4]) -> Vec<u8> {
    let mut f = vec![0; 14 + 20 + 8 + 56];
    f[..6].copy_from_slice(&mac(B).octets());
    f[6..12].copy_from_slice(&mac(A).octets());
    f[12..18].copy_from_slice(&[8, 0, 0x45, 0, 0, 84]);
    f[22..24].copy_from_slice(&[64, 1]);
    f[26..30].copy_from_slice(&source);
    f[30..34].copy_from_slice(&B.octets());
    f[34] = 8;
    f[38..42].copy_from_slice(&[0x12, 0x34, 0, 1]);
    for (at, range) in [(24, 14..34), (36, 34..98)] {
        let sum = ports::checksum::finish(ports::checksum::sum(&f[range]));
        f[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    f
}

/// What `b` sends in answer to one frame.
fn answers(n: &mut Net, bytes: &[u8]) -> Vec<Vec<u8>> {
    n.a.port.tx.transmit(&[Frame::new(bytes)]);
    n.now = n.now + TICK;
    n.b.stack.ingress(&mut n.b.port, n.now);
    n.b.port.tx.flush();
    let mut burst = Burst::new();
    n.a.port.rx.receive(&mut burst);
    let frames: Vec<_> = burst.iter().map(|f| f.to_vec()).collect();
    drop(burst);
    n.a.port.rx.release(frames.len());
    frames
}

#[test]
fn pings_are_answered() {
    let (mut n, _) = scene();
    answers(&mut n, &[]);
    let request = ping(A.octets());
    let [reply] = answers(&mut n, &request).try_into().unwrap();
    assert_eq!((reply[34], &reply[26..30], &reply[30..34]), (0, &B.octets()[..], &A.octets()[..]));
    assert_eq!(reply[38..], request[38..]);
    assert_eq!(ports::checksum::fold(ports::checksum::sum(&reply[34..])), 0xffff);
}

#[test]
fn sources_that_cannot_be_answered_are_not() {
    let (mut n, frames) = scene();
    answers(&mut n, &[]);
    for source in [[0, 0, 0, 0], [255; 4], [224, 0, 0, 1], B.octets(), [127, 0, 0, 1], [10, 0, 0, 255]] {
        let mut bytes = frames[0].clone();
        bytes[26..30].copy_from_slice(&source);
        mend(&mut bytes);
        assert_eq!(answers(&mut n, &bytes).len(), 0, "{source:?}");
        assert_eq!(answers(&mut n, &ping(source)).len(), 0, "{source:?}");
    }
}

/// A window that was only offered in a SYN, whose field is not scaled, must not be taken for larger.
#[test]
fn data_beyond_the_buffer_right_after_the_handshake_is_not_taken() {
    for at in [(1 << 20) - 1500, (1 << 20) - 500, 1 << 20, 2 << 20, (2 << 20) - 1500] {
        let mut n = Net::direct(Capabilities::wire(1500));
        let options = SocketOptions { window: Some(1 << 20), ..SocketOptions::default() };
        let (c, s) = n.connected(options);
        n.a.stack.send_pattern(c, 1000);
        n.a.poll(n.now);
        let mut burst = Burst::new();
        n.b.port.rx.receive(&mut burst);
        let (k, mut bytes) = (burst.len(), burst[burst.len() - 1].to_vec());
        drop(burst);
        n.b.port.rx.release(k);
        let seq = u32::from_be_bytes(*bytes[38..].first_chunk().unwrap());
        bytes[38..42].copy_from_slice(&(seq + at).to_be_bytes());
        mend(&mut bytes);
        feed(&mut n, &bytes, TICK);
        let mut got = 0;
        assert!(n.until(Duration::from_secs(5), |n| {
            n.a.stack.send_pattern(c, 1 << 20);
            got += n.b.stack.discard(s, 1 << 20);
            got > 4 << 20
        }));
    }
}
