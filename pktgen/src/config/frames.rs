//! What the frames of a run look like.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use ports::{Capabilities, Mac};
use serde::{Deserialize, Serialize};

use super::{Error, within};
use crate::packet::{Family, Layout, Stamp, Template};
use crate::{AddressRange, Payload, Size, Tag};

/// Sizes, stations, addresses and contents of the frames to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frames {
    /// Bytes of a frame without FCS, VLAN tags included (`-l`), in [`Size::LEN`].
    pub size: Size,
    /// Source station (`-S`); the interface's own if not given.
    pub src_mac: Option<Mac>,
    /// Destination station (`-D`).
    pub dst_mac: Mac,
    /// Source addresses and UDP ports (`-s`).
    pub src: AddressRange,
    /// Destination addresses and UDP ports (`-d`), of the same family.
    pub dst: AddressRange,
    /// The source address and port of each frame are drawn (`-z`): of IPv6 addresses the group that `src` names.
    pub random_src: bool,
    /// The destination address and port likewise (`-Z`).
    pub random_dst: bool,
    /// VLAN tags, the outermost first (`--vlan`), at most [`Tag::MOST`].
    pub vlans: Vec<Tag>,
    /// What stands behind the headers (`--payload`).
    pub payload: Payload,
    /// Sends what stands in the port's slots, without writing anything into them (`-r`).
    pub rubbish: bool,
    /// Makes what is random the same again (`--seed`). Several senders of one run need one each.
    pub seed: Option<u64>,
}

impl Default for Frames {
    /// netmap's defaults: 60 bytes, 10.0.0.1 to 10.1.0.1, broadcast.
    fn default() -> Self {
        Self {
            size: Size::Fixed(60),
            src_mac: None,
            dst_mac: Mac::BROADCAST,
            src: Self::SRC_V4.into(),
            dst: Self::DST_V4.into(),
            random_src: false,
            random_dst: false,
            vlans: Vec::new(),
            payload: Payload::Netmap,
            rubbish: false,
            seed: None,
        }
    }
}

impl Frames {
    /// Source where none is given.
    pub const SRC_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    /// Destination where none is given.
    pub const DST_V4: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
    /// Source where none is given, with IPv6: netmap has none.
    pub const SRC_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    /// Destination where none is given, with IPv6.
    pub const DST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);

    /// What is random about them.
    pub(crate) fn rng(&self) -> Rng {
        self.seed.map_or_else(Rng::new, Rng::with_seed)
    }

    pub(crate) const fn layout(&self) -> Layout {
        let family = if self.src.is_v6() { Family::V6 } else { Family::V4 };
        Layout::new(family, self.vlans.as_slice())
    }

    /// Checks every number against its range, and the headers if these frames are `sent`, with room for a sequence
    /// number if they are `sequenced`.
    pub(super) fn check(&self, sent: bool, sequenced: bool) -> Result<(), Error> {
        if let Size::Random { least, most } = self.size
            && least > most
        {
            return Err(Error::Reversed { most, least });
        }
        within("-l", self.size.shortest(), &Size::LEN)?;
        within("-l", self.size.longest(), &Size::LEN)?;
        if self.vlans.len() > Tag::MOST {
            return Err(Error::TooManyTags { value: self.vlans.len() });
        }
        if self.src.is_v6() != self.dst.is_v6() {
            return Err(Error::Families { src: self.src.to_string(), dst: self.dst.to_string() });
        }
        if sent { self.check_headers(sequenced) } else { Ok(()) }
    }

    /// Bytes of the headers, with a sequence number or a stamp.
    pub(super) fn least(&self, sequenced: bool, stamped: bool) -> u32 {
        let stamp = if stamped { Stamp::LEN } else { 0 };
        u32::try_from(Template::shortest(self.layout(), sequenced) + stamp).unwrap_or(u32::MAX)
    }

    /// Bytes of the short frames of an IMIX, if their headers make them longer.
    pub(crate) fn stretched(&self, sequenced: bool) -> Option<usize> {
        let least = Template::shortest(self.layout(), sequenced);
        (self.size == Size::Imix && least > Size::Imix.shortest() as usize).then_some(least)
    }

    /// Whether the shortest frame holds its headers, and those can tell of the longest.
    fn check_headers(&self, sequenced: bool) -> Result<(), Error> {
        let layout = self.layout();
        let least = self.least(sequenced, false);
        // The short frames of an IMIX are as long as their headers need.
        if self.size.shortest() < least && self.size != Size::Imix {
            let mut headers = String::from("Ethernet, ");
            let _ = match self.vlans.len() {
                0 => Ok(()),
                1 => write!(headers, "VLAN, "),
                n => write!(headers, "{n} VLAN, "),
            };
            headers += if self.src.is_v6() { "IPv6 and UDP headers" } else { "IPv4 and UDP headers" };
            if sequenced {
                headers += " and a sequence number";
            }
            return Err(Error::Short { frame_len: self.size.shortest(), headers, least });
        }
        let most = u32::try_from(layout.longest()).unwrap_or(u32::MAX).min(*Size::LEN.end());
        within("-l", self.size.longest(), &(least..=most))
    }

    /// Checks that each has room for a stamp.
    pub(super) fn check_stamp(&self) -> Result<(), Error> {
        let (frame_len, least) = (self.size.shortest(), self.least(false, true));
        if frame_len < least { Err(Error::NoStamp { frame_len, least }) } else { Ok(()) }
    }

    /// Checks that they are all of one size.
    pub(super) const fn check_one_size(&self) -> Result<(), Error> {
        if matches!(self.size, Size::Fixed(_)) { Ok(()) } else { Err(Error::ManySizes) }
    }

    /// Checks that a port takes them. Tagged frames may be four bytes longer than its MTU says, as on Linux.
    pub(super) fn check_port(&self, name: &str, port: Capabilities) -> Result<(), Error> {
        let most = port.frame.saturating_add(if self.vlans.is_empty() { 0 } else { 4 });
        let frame_len = self.size.longest();
        if frame_len <= most {
            return Ok(());
        }
        let mtu = port.frame.saturating_sub(14);
        Err(Error::Long { port: name.to_owned(), frame_len, most, mtu })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(edit: impl Fn(&mut Frames), sequenced: bool) -> String {
        let mut frames = Frames::default();
        edit(&mut frames);
        assert_eq!(frames.check(true, sequenced), frames.check(true, sequenced));
        frames.check(true, sequenced).err().map_or_else(String::new, |e| e.to_string())
    }

    fn tag(n: usize) -> Vec<Tag> {
        vec!["100".parse().unwrap(); n]
    }

    #[test]
    fn frames_hold_their_headers() {
        for (v6, tags, sequenced, least, what) in [
            (false, 0, false, 42, "Ethernet, IPv4 and UDP headers take 42"),
            (false, 1, false, 46, "Ethernet, VLAN, IPv4 and UDP headers take 46"),
            (false, 2, true, 54, "Ethernet, 2 VLAN, IPv4 and UDP headers and a sequence number take 54"),
            (true, 0, false, 62, "Ethernet, IPv6 and UDP headers take 62"),
            (true, 2, true, 74, "Ethernet, 2 VLAN, IPv6 and UDP headers and a sequence number take 74"),
        ] {
            let set = |len: u32| {
                move |f: &mut Frames| {
                    f.size = len.into();
                    f.vlans = tag(tags);
                    if v6 {
                        (f.src, f.dst) = (Frames::SRC_V6.into(), Frames::DST_V6.into());
                    }
                }
            };
            assert_eq!(error(set(least), sequenced), "");
            let error = error(set(least - 1), sequenced);
            assert!(
                error.starts_with(&format!("-l {}: too short", least - 1)) && error.contains(what),
                "{error}"
            );
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        type Edit = fn(&mut Frames);
        let edits: [(Edit, &str); 7] = [
            (|f| f.size = Size::Random { least: 60, most: 60 }, ""),
            (
                |f| f.size = Size::Random { least: 61, most: 60 },
                "-l 60 -l 61: the second is the least size, and must not exceed the first (try: -l 61 -l 60)",
            ),
            (|f| f.size = Size::Random { least: 41, most: 100 }, "-l 41: too short"),
            (|f| (f.size, f.src, f.dst) = (Size::Imix, Frames::SRC_V6.into(), Frames::DST_V6.into()), ""),
            (
                |f| f.vlans = vec!["1".parse().unwrap(); 3],
                "3 tags, but a frame has at most 2 (try: the first 2)",
            ),
            (|f| f.src = Frames::SRC_V6.into(), "-s fd00::1 -d 10.1.0.1: one is IPv6, the other IPv4"),
            (|f| f.dst = Frames::DST_V6.into(), "-s 10.0.0.1 -d fd00:1::1: one is IPv4, the other IPv6"),
        ];
        for (edit, expected) in edits {
            let error = error(edit, false);
            assert!(error.contains(expected) && (expected.is_empty() == error.is_empty()), "{error}");
        }
    }

    #[test]
    fn the_longest_frame_fits_the_port() {
        let long = |size, vlans| {
            let frames = Frames { size, vlans, ..Frames::default() };
            frames
                .check_port("eth0", Capabilities::wire(1500))
                .err()
                .map_or_else(String::new, |e| e.to_string())
        };
        assert_eq!(long(Size::Imix, vec![]), "");
        assert_eq!(long(Size::Random { least: 60, most: 1515 }, vec![]), "");
        assert_eq!(long(Size::Fixed(1518), tag(1)), "");
        let most = "eth0: -l 1515: the port takes frames of up to 1514 bytes at MTU 1500 (try: -l 1514)";
        assert_eq!(long(Size::Random { least: 60, most: 1516 }, vec![]), most);
        assert!(long(Size::Fixed(1519), tag(2)).contains("up to 1518 bytes"));
    }
}
