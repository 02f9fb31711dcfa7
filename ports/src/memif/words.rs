//! Messages as the log has them: by name, and without the secret.

use std::fmt;

use super::message::{Message, S2M, text};

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ack => f.write_str("ACK"),
            Self::Hello { name, max_s2m_ring, max_m2s_ring, max_log2_ring_size, .. } => write!(
                f,
                "HELLO of {:?}: rings up to number {max_s2m_ring} in and {max_m2s_ring} out, of 2^{max_log2_ring_size} slots",
                text(name)
            ),
            Self::Init { version, id, mode, secret: _, name } => {
                write!(f, "INIT of {:?}: id={id}, version {version:#x}, mode {mode}", text(name))
            }
            Self::AddRegion { index, size } => write!(f, "ADD_REGION {index}: {size} bytes"),
            Self::AddRing { flags, index, region, offset, log2_ring_size, private_hdr_size: _ } => {
                let way = if flags & S2M != 0 { "from the client" } else { "to the client" };
                write!(
                    f,
                    "ADD_RING {index} {way}: 2^{log2_ring_size} slots in region {region} at {offset:#x}"
                )
            }
            Self::Connect { name } => write!(f, "CONNECT of {:?}", text(name)),
            Self::Connected { name } => write!(f, "CONNECTED of {:?}", text(name)),
            Self::Disconnect { code, reason } => write!(f, "DISCONNECT {code}: {:?}", text(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memif::message::{ETHERNET, VERSION, padded};

    #[test]
    fn a_secret_is_not_told() {
        let (secret, name) = (padded("sesame"), padded("stranger"));
        let init = Message::Init { version: VERSION, id: 7, mode: ETHERNET, secret, name };
        assert_eq!(init.to_string(), "INIT of \"stranger\": id=7, version 0x200, mode 0");
    }
}
