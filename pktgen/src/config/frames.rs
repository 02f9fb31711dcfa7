//! What the frames of a run look like.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ports::{Capabilities, Mac};
use serde::{Deserialize, Serialize};

use super::{Error, within};
use crate::AddressRange;
use crate::packet::{Stamp, Template};

/// Sizes, stations and addresses of the frames to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frames {
    /// Bytes of a frame without FCS (`-l`), in [`Self::LEN`].
    pub len: u32,
    /// Source station (`-S`); the interface's own if not given.
    pub src_mac: Option<Mac>,
    /// Destination station (`-D`).
    pub dst_mac: Mac,
    /// Source addresses and UDP ports (`-s`).
    pub src: AddressRange,
    /// Destination addresses and UDP ports (`-d`).
    pub dst: AddressRange,
}

impl Default for Frames {
    /// netmap's defaults: 60 bytes, 10.0.0.1 to 10.1.0.1, broadcast.
    fn default() -> Self {
        Self {
            len: 60,
            src_mac: None,
            dst_mac: Mac::BROADCAST,
            src: AddressRange::single(Ipv4Addr::new(10, 0, 0, 1)),
            dst: AddressRange::single(Ipv4Addr::new(10, 1, 0, 1)),
        }
    }
}

impl Frames {
    /// Bytes of a frame, as netmap has it; one that is sent also has to hold its headers.
    pub const LEN: RangeInclusive<u32> = 16..=65_536;

    /// Checks every number against its range, and the headers if these frames are `sent`.
    pub(super) fn check(&self, sent: bool) -> Result<(), Error> {
        within("-l", self.len, &Self::LEN)?;
        let headers = u32::try_from(Template::MIN).unwrap_or(u32::MAX);
        if sent && self.len < headers {
            return Err(Error::Short { frame_len: self.len, headers });
        }
        Ok(())
    }

    /// Checks that each has room for a stamp.
    pub(super) fn check_stamp(&self) -> Result<(), Error> {
        let least = u32::try_from(Template::MIN + Stamp::LEN).unwrap_or(u32::MAX);
        if self.len < least { Err(Error::NoStamp { frame_len: self.len, least }) } else { Ok(()) }
    }

    /// Checks that a port takes them.
    pub(super) fn check_port(&self, name: &str, port: Capabilities) -> Result<(), Error> {
        if self.len <= port.frame {
            return Ok(());
        }
        let (most, mtu) = (port.frame, port.frame.saturating_sub(14));
        Err(Error::Long { port: name.to_owned(), frame_len: self.len, most, mtu })
    }
}
