//! How tests read a frame: by a reading of their own, shared with nothing that made it.

use ports::Mac;

use super::{Flow, Template};
use crate::Frames;

/// A frame of `len` bytes that is nothing special.
pub(crate) fn plain(len: usize) -> Vec<u8> {
    let mut template = Template::first(&Frames { size: 2000.into(), ..Frames::default() }, Mac::ZERO);
    template.resize(len);
    template.bytes().to_vec()
}

/// Ones' complement sum, word by word (RFC 1071, 4.1).
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

fn be16(frame: &[u8], at: usize) -> usize {
    usize::from(frame[at]) << 8 | usize::from(frame[at + 1])
}

/// What a frame says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) flow: Flow,
    /// EtherType and contents of its tags.
    pub(crate) tags: Vec<(usize, usize)>,
    pub(crate) v6: bool,
    /// Where the payload starts.
    pub(crate) body: usize,
}

/// Reads a frame, or says what is wrong with it.
pub(crate) fn read(frame: &[u8]) -> Result<Read, String> {
    let (mut at, mut tags) = (12, Vec::new());
    while [0x8100, 0x88a8].contains(&be16(frame, at)) {
        tags.push((be16(frame, at), be16(frame, at + 2)));
        at += 4;
    }
    let l3 = at + 2;
    let (v6, l4, ends, len) = match be16(frame, at) {
        0x0800 => (false, l3 + 20, l3 + 12, be16(frame, l3 + 2)),
        0x86dd => (true, l3 + 40, l3 + 8, be16(frame, l3 + 4) + 40),
        other => return Err(format!("EtherType {other:#x}")),
    };
    let udp = &frame[l4..];
    let width = if v6 { 16 } else { 4 };
    let number = |at: usize| frame[at..at + width].iter().fold(0, |n, b| n << 8 | u128::from(*b));
    let start = if v6 { (0x60, frame[l3 + 6]) } else { (0x45, frame[l3 + 9]) };
    let mut pseudo = frame[ends..l4].to_vec();
    pseudo.extend(u32::try_from(udp.len()).unwrap().to_be_bytes());
    pseudo.extend([0, 17]);
    pseudo.extend(udp);
    for (what, wrong) in [
        ("version", frame[l3] != start.0),
        ("protocol", start.1 != 17),
        ("IP length", len != frame.len() - l3),
        ("UDP length", be16(udp, 4) != udp.len()),
        ("IP checksum", !v6 && sum(&frame[l3..l4]) != 0xffff),
        ("no UDP checksum", be16(udp, 6) == 0),
        ("UDP checksum", sum(&pseudo) != 0xffff),
    ] {
        if wrong {
            return Err(format!("{what}: {frame:02x?}"));
        }
    }
    let [src_port, dst_port] = [0, 2].map(|at| u16::try_from(be16(udp, at)).unwrap());
    let flow = Flow { src: number(ends), src_port, dst: number(ends + width), dst_port };
    Ok(Read { flow, tags, v6, body: l4 + 8 })
}
