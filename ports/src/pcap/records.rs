//! The records of a capture file: pcap by its own draft (draft-ietf-opsawg-pcap), pcapng likewise
//! (draft-ietf-opsawg-pcapng).

use pcap_parser::{
    Block, InterfaceDescriptionBlock, parse_block_be, parse_block_le, parse_pcap_frame, parse_pcap_frame_be,
    parse_pcap_frame_modified, parse_pcap_header,
};

/// Ethernet among the link types of pcap.
const ETHERNET: u32 = 1;
/// What an interface's times are counted in if it does not say: microseconds, as a power of ten.
const MICROSECONDS: u8 = 6;
const SEC_NS: u64 = 1_000_000_000;

/// One record.
pub(super) struct Record<'a> {
    /// Nanoseconds since the epoch; zero where the file does not say.
    pub(super) time_ns: u64,
    /// What was captured of the frame.
    pub(super) bytes: &'a [u8],
    /// Not all of it was.
    pub(super) is_cut: bool,
}

/// Where a file stopped making sense, bytes from its start; `None` if it did to its end.
pub(super) type BrokenAt = Option<usize>;

/// Calls `each` for every record of a capture, in the order of the file.
///
/// Returns where it breaks off, if it does; refuses what is no capture of Ethernet frames, and says why.
pub(super) fn read<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Record<'a>)) -> Result<BrokenAt, String> {
    match bytes {
        [] => Err("an empty file".to_owned()),
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => pcapng(bytes, each),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Err("compressed (try: gunzip, unzstd or unxz)".to_owned())
        }
        _ => pcap(bytes, each),
    }
}

fn pcap<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Record<'a>)) -> Result<BrokenAt, String> {
    let (mut rest, header) = parse_pcap_header(bytes).map_err(|e| match e {
        pcap_parser::nom::Err::Incomplete(_) => "too short for a capture".to_owned(),
        _ => "neither pcap nor pcapng".to_owned(),
    })?;
    // The upper bits say whether a checksum follows the frame.
    is_ethernet(header.network.0.cast_unsigned() & 0xffff)?;
    let parse = match () {
        () if header.is_modified_format() => parse_pcap_frame_modified,
        () if header.is_bigendian() => parse_pcap_frame_be,
        () => parse_pcap_frame,
    };
    let unit_ns = if header.is_nanosecond_precision() { 1 } else { 1000 };
    while !rest.is_empty() {
        let Ok((after, record)) = parse(rest) else { return Ok(Some(bytes.len() - rest.len())) };
        let time_ns = u64::from(record.ts_sec) * SEC_NS + u64::from(record.ts_usec) * unit_ns;
        each(Record { time_ns, bytes: record.data, is_cut: record.caplen < record.origlen });
        rest = after;
    }
    Ok(None)
}

/// What a section says of one of its interfaces.
struct Interface {
    link: u32,
    snap_len: u32,
    /// Ticks a second.
    ticks: u128,
    offset_s: i64,
}

impl Interface {
    /// `None` for ticks that nobody can count.
    fn new(block: &InterfaceDescriptionBlock<'_>, is_big_endian: bool) -> Option<Self> {
        // Taken as it is: the parser's own reading of powers of two refuses them all, and that of the offset is
        // little-endian everywhere (pcap-parser 0.17).
        let exponent = block.if_tsresol().and_then(Result::ok).unwrap_or(MICROSECONDS);
        let base = if exponent & 0x80 == 0 { 10_u128 } else { 2 };
        let offset_s = if is_big_endian { block.if_tsoffset.swap_bytes() } else { block.if_tsoffset };
        Some(Self {
            link: block.linktype.0.cast_unsigned(),
            snap_len: block.snaplen,
            ticks: base.checked_pow(u32::from(exponent & 0x7f))?,
            offset_s,
        })
    }

    fn time_ns(&self, ticks: u64) -> u64 {
        let since_offset = u128::from(ticks) * u128::from(SEC_NS) / self.ticks;
        let offset = i128::from(self.offset_s) * i128::from(SEC_NS);
        let time = i128::try_from(since_offset).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

fn pcapng<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Record<'a>)) -> Result<BrokenAt, String> {
    let mut interfaces = Vec::new();
    let mut is_big_endian = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        let broken_at = Ok(Some(bytes.len() - rest.len()));
        // The header of a section says itself how the section is written.
        let parse = if is_big_endian { parse_block_be } else { parse_block_le };
        let Ok((after, block)) = parse(rest) else { return broken_at };
        let record = match &block {
            Block::SectionHeader(section) => {
                is_big_endian = section.big_endian();
                interfaces.clear();
                None
            }
            Block::InterfaceDescription(block) => {
                let Some(interface) = Interface::new(block, is_big_endian) else { return broken_at };
                interfaces.push(interface);
                None
            }
            Block::EnhancedPacket(packet) => {
                let Some(interface) = interfaces.get(packet.if_id as usize) else { return broken_at };
                is_ethernet(interface.link)?;
                let time_ns = interface.time_ns(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low));
                let bytes = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                Some(Record { time_ns, bytes, is_cut: packet.caplen < packet.origlen })
            }
            Block::SimplePacket(packet) => {
                let Some(interface) = interfaces.first() else { return broken_at };
                is_ethernet(interface.link)?;
                let bytes = packet.data.get(..packet.origlen as usize);
                let is_cut = bytes.is_none() || (1..packet.origlen).contains(&interface.snap_len);
                Some(Record { time_ns: 0, bytes: bytes.unwrap_or(packet.data), is_cut })
            }
            _ => None,
        };
        record.into_iter().for_each(&mut *each);
        rest = after;
    }
    Ok(None)
}

fn is_ethernet(link: u32) -> Result<(), String> {
    if link == ETHERNET {
        return Ok(());
    }
    Err(format!("link type {link}, and not Ethernet ({ETHERNET})"))
}
