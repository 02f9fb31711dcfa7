//! What the frames look like.

use clap::{ArgAction, Args};
use ports::Mac;

use super::within;
use crate::{AddressRange, Error, Frames};

#[derive(Clone, Debug, Args)]
#[expect(rustdoc::broken_intra_doc_links, reason = "brackets are for what may be left out, for --help")]
pub(super) struct FrameArgs {
    /// Bytes of a frame without its CRC
    #[arg(short = 'l', value_name = "BYTES", default_value = "60", allow_negative_numbers = true,
        action = ArgAction::Append, value_parser = within(Frames::LEN))]
    len: Vec<u32>,
    /// Source addresses and UDP ports: ADDR[:PORT][-ADDR[:PORT]]
    #[arg(short = 's', value_name = "RANGE", default_value = "10.0.0.1")]
    src: AddressRange,
    /// Destination addresses and UDP ports, likewise
    #[arg(short = 'd', value_name = "RANGE", default_value = "10.1.0.1")]
    dst: AddressRange,
    /// Source MAC address [default: the interface's own]
    #[arg(short = 'S', value_name = "MAC")]
    src_mac: Option<Mac>,
    /// Destination MAC address
    #[arg(short = 'D', value_name = "MAC", default_value_t = Mac::BROADCAST)]
    dst_mac: Mac,
}

impl FrameArgs {
    pub(super) fn into_frames(self) -> Result<Frames, Error> {
        let [len] = self.len[..] else {
            return Err(Error::Unavailable("-l given twice, for random sizes".to_owned()));
        };
        Ok(Frames { len, src_mac: self.src_mac, dst_mac: self.dst_mac, src: self.src, dst: self.dst })
    }
}
