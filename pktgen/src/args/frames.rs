//! What the frames look like.

use clap::{ArgAction, Args};
use ports::Mac;

use crate::{AddressRange, Error, Frames, Payload, Size, Tag};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Frames to send")]
#[expect(rustdoc::broken_intra_doc_links, reason = "brackets are for what may be left out, for --help")]
pub(super) struct FrameArgs {
    /// Bytes of a frame without its CRC; given twice, most and least of random ones, drawn for each burst below the
    /// first; or imix: of 12 frames 7 of 60, 4 of 590, 1 of 1514 [default: 60, or what the headers take; a search goes
    /// through 60 to 1514]
    #[arg(short = 'l', value_name = "BYTES", allow_negative_numbers = true,
        action = ArgAction::Append, value_parser = size)]
    size: Vec<Size>,
    /// IPv4, unless addresses say otherwise
    #[arg(short = '4', overrides_with = "v6")]
    v4: bool,
    /// IPv6
    #[arg(short = '6', overrides_with = "v4")]
    v6: bool,
    /// Source addresses and UDP ports: ADDR[:PORT][-ADDR[:PORT]]; of IPv6 [GROUP@][ADDR][:PORT], where the 16-bit group
    /// 0 to 7 varies [default: 10.0.0.1 or fd00::1, port 1234]
    #[arg(short = 's', value_name = "RANGE")]
    src: Option<AddressRange>,
    /// Destination addresses and UDP ports, likewise [default: 10.1.0.1 or fd00:1::1, port 1234]
    #[arg(short = 'd', value_name = "RANGE")]
    dst: Option<AddressRange>,
    /// Draw the source address and port of each frame
    #[arg(short = 'z')]
    random_src: bool,
    /// Draw the destination address and port of each frame
    #[arg(short = 'Z')]
    random_dst: bool,
    /// Source MAC address [default: the interface's own]
    #[arg(short = 'S', value_name = "MAC")]
    src_mac: Option<Mac>,
    /// Destination MAC address
    #[arg(short = 'D', value_name = "MAC", default_value_t = Mac::BROADCAST)]
    dst_mac: Mac,
    /// VLAN tag; given twice, the outer (802.1ad) and the inner one
    #[arg(long = "vlan", value_name = "ID[:PRIORITY]", action = ArgAction::Append)]
    vlans: Vec<Tag>,
    /// What stands behind the headers: netmap, zero, ones, increment, random, 0xHEX or a text
    #[arg(long, value_name = "PAYLOAD", default_value = "netmap")]
    pub(super) payload: Payload,
    /// Rubbish: send what stands in the port's slots, without writing anything
    #[arg(short = 'r')]
    pub(super) rubbish: bool,
    /// Draw the same random addresses, sizes and payload as other runs with this number
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

fn size(text: &str) -> Result<Size, String> {
    if text == "imix" {
        return Ok(Size::Imix);
    }
    let len = text.parse::<u32>().map_err(|e| format!("{e} (try: 60 or imix)"))?;
    if Size::LEN.contains(&len) {
        Ok(Size::Fixed(len))
    } else {
        Err(format!("{len} is not in {}..={} (try: 60)", Size::LEN.start(), Size::LEN.end()))
    }
}

/// netmap's two `-l`: the first is the most, the last the least.
fn sizes(given: &[Size]) -> Result<Size, Error> {
    match *given {
        [] => Ok(Size::Fixed(60)),
        [size] => Ok(size),
        [Size::Fixed(most), .., Size::Fixed(least)] if most == least => Ok(Size::Fixed(most)),
        [Size::Fixed(most), .., Size::Fixed(least)] => Ok(Size::Random { least, most }),
        _ => Err(Error::Mix),
    }
}

impl FrameArgs {
    /// Whether sizes are given.
    pub(super) const fn has_size(&self) -> bool {
        !self.size.is_empty()
    }

    /// The flags that were given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("-l", self.has_size()),
            ("-4", self.v4),
            ("-6", self.v6),
            ("-s", self.src.is_some()),
            ("-d", self.dst.is_some()),
            ("-z", self.random_src),
            ("-Z", self.random_dst),
            ("-S", self.src_mac.is_some()),
            ("-D", self.dst_mac != Mac::BROADCAST),
            ("--vlan", !self.vlans.is_empty()),
            ("--payload", self.payload != Payload::Netmap),
            ("--seed", self.seed.is_some()),
            ("-r", self.rubbish),
        ];
        flags.into_iter().filter_map(|(flag, given)| given.then_some(flag)).collect()
    }

    pub(super) fn into_frames(self) -> Result<Frames, Error> {
        let (src, dst) = self.ranges()?;
        Ok(Frames {
            size: sizes(&self.size)?,
            src_mac: self.src_mac,
            dst_mac: self.dst_mac,
            src,
            dst,
            random_src: self.random_src,
            random_dst: self.random_dst,
            vlans: self.vlans,
            payload: self.payload,
            rubbish: self.rubbish,
            seed: self.seed,
        })
    }

    /// An address says of which family the frames are, if no flag does.
    fn ranges(&self) -> Result<(AddressRange, AddressRange), Error> {
        let asked = if self.v6 {
            Some(true)
        } else if self.v4 {
            Some(false)
        } else {
            None
        };
        let given = [("-s", self.src), ("-d", self.dst)];
        for (flag, range) in given {
            if let (Some(range), Some(v6)) = (range, asked)
                && range.is_v6() != v6
            {
                return Err(Error::Family { flag, range: range.to_string(), family: if v6 { 6 } else { 4 } });
            }
        }
        let v6 = asked.unwrap_or_else(|| given.iter().any(|(_, range)| range.is_some_and(|r| r.is_v6())));
        let (src, dst) = if v6 {
            (Frames::SRC_V6.into(), Frames::DST_V6.into())
        } else {
            (Frames::SRC_V4.into(), Frames::DST_V4.into())
        };
        Ok((self.src.unwrap_or(src), self.dst.unwrap_or(dst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    #[command(args_override_self = true)]
    struct Line {
        #[command(flatten)]
        frames: FrameArgs,
    }

    fn parse(line: &str) -> Result<Frames, String> {
        let line = Line::try_parse_from(["pkt-gen"].into_iter().chain(line.split_whitespace()));
        line.map_err(|e| e.to_string())?.frames.into_frames().map_err(|e| e.to_string())
    }

    #[test]
    fn sizes_are_netmaps_or_an_imix() {
        let size = |line| parse(line).unwrap().size;
        assert_eq!(size(""), Size::Fixed(60));
        assert_eq!(size("-l 100"), Size::Fixed(100));
        assert_eq!(size("-l 1514 -l 64"), Size::Random { least: 64, most: 1514 });
        assert_eq!(size("-l 1514 -l 64 -l 70"), Size::Random { least: 70, most: 1514 });
        assert_eq!(size("-l 64 -l 64"), Size::Fixed(64), "netmap divides by zero");
        assert_eq!(size("-l imix"), Size::Imix);
        assert!(parse("-l imix -l 60").unwrap_err().contains("imix stands alone (try: "));
        assert!(parse("-l 60 -l imix").unwrap_err().contains("imix stands alone (try: "));
    }

    #[test]
    fn the_family_is_that_of_the_flag_or_of_the_addresses() {
        let ends = |line| parse(line).map(|f| format!("{} {}", f.src, f.dst)).unwrap_or_else(|e| e);
        for (line, expected) in [
            ("", "10.0.0.1 10.1.0.1"),
            ("-4", "10.0.0.1 10.1.0.1"),
            ("-6", "fd00::1 fd00:1::1"),
            ("-6 -4", "10.0.0.1 10.1.0.1"),
            ("-4 -6", "fd00::1 fd00:1::1"),
            ("-d fd00::9", "fd00::1 fd00::9"),
            ("-s 10.9.0.1", "10.9.0.1 10.1.0.1"),
            ("-6 -s 7@[fd00::1]:5-[fd00::3]:6", "[fd00::1]:5-[fd00::3]:6 fd00:1::1"),
            ("-6 -s 10.0.0.1", "-s 10.0.0.1: with -6 it cannot be IPv4 (try: without -6)"),
            ("-4 -d fd00::1", "-d fd00::1: with -4 it cannot be IPv6 (try: without -4)"),
        ] {
            assert_eq!(ends(line), expected, "{line}");
        }
    }

    #[test]
    fn the_rest_arrives() {
        let expected = Frames {
            random_src: true,
            random_dst: true,
            vlans: vec!["7:5".parse().unwrap(), "8".parse().unwrap()],
            payload: Payload::Bytes(vec![0xc0, 0xde]),
            rubbish: true,
            seed: Some(3),
            ..Frames::default()
        };
        assert_eq!(parse("-zZr --vlan 7:5 --vlan 8 --payload 0xc0de --seed 3").unwrap(), expected);
        for (line, why) in
            [("--vlan 4095", "0 to 4094"), ("--payload 0x1", "pairs"), ("-l 15", "15 is not in 16..=65536")]
        {
            assert!(parse(line).unwrap_err().contains(why), "{line}");
        }
    }
}
