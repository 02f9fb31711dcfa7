//! What is said on the socket: the messages of memif 2.0 (`memif.h` of libmemif), as bytes.
//!
//! Each is one packet of 128 bytes: its type, what belongs to that type, packed and little endian, and zeroes. A descriptor may
//! travel beside it.

/// Bytes of every message.
pub const LEN: usize = 128;
/// `MEMIF_VERSION`: major 2, minor 0, which is all there is.
pub const VERSION: u16 = 2 << 8;
/// Bytes of a name (`MEMIF_NAME_SZ`).
pub const NAME: usize = 32;
/// Bytes of a secret.
pub const SECRET: usize = 24;
/// Bytes of a reason to hang up.
pub const REASON: usize = 96;

/// One message. What it says is a claim, like all that a peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To the client: what it asked for is done.
    Ack,
    /// To the client, before anything else: what the server can.
    Hello {
        /// The program.
        name: [u8; NAME],
        /// Lowest version.
        min_version: u16,
        /// Highest version.
        max_version: u16,
        /// Highest index of a region.
        max_region: u16,
        /// Highest index of a ring to the client.
        max_m2s_ring: u16,
        /// Highest index of a ring from the client.
        max_s2m_ring: u16,
        /// Slots of the longest ring, as a power of two.
        max_log2_ring_size: u8,
    },
    /// To the server: which of its ports the client wants.
    Init {
        /// The version it speaks.
        version: u16,
        /// The port.
        id: u32,
        /// [`ETHERNET`], or something else that is not frames.
        mode: u8,
        /// Zeroes, or what the port asks for.
        secret: [u8; SECRET],
        /// The program.
        name: [u8; NAME],
    },
    /// To the server: a piece of memory, whose file comes beside it.
    AddRegion {
        /// Its number.
        index: u16,
        /// Bytes.
        size: u64,
    },
    /// To the server: a ring, whose eventfd comes beside it.
    AddRing {
        /// [`S2M`], or a ring to the client.
        flags: u16,
        /// Its number among those of its direction.
        index: u16,
        /// The region it is in.
        region: u16,
        /// Bytes from the first of the region.
        offset: u32,
        /// Slots, as a power of two.
        log2_ring_size: u8,
        /// Bytes before each frame that are not the frame's.
        private_hdr_size: u16,
    },
    /// To the server: that is all; begin.
    Connect {
        /// The client's port.
        name: [u8; NAME],
    },
    /// To the client: begin.
    Connected {
        /// The server's port.
        name: [u8; NAME],
    },
    /// Either way: it is over.
    Disconnect {
        /// A number that nobody gives a meaning.
        code: u32,
        /// Why, in words.
        reason: [u8; REASON],
    },
}

/// `MEMIF_MSG_ADD_RING_FLAG_S2M`: the ring is for frames from the client ("slave") to the server ("master").
pub const S2M: u16 = 1;
/// `MEMIF_INTERFACE_MODE_ETHERNET`.
pub const ETHERNET: u8 = 0;

/// The types.
mod kind {
    pub(super) const ACK: u16 = 1;
    pub(super) const HELLO: u16 = 2;
    pub(super) const INIT: u16 = 3;
    pub(super) const ADD_REGION: u16 = 4;
    pub(super) const ADD_RING: u16 = 5;
    pub(super) const CONNECT: u16 = 6;
    pub(super) const CONNECTED: u16 = 7;
    pub(super) const DISCONNECT: u16 = 8;
}

impl Message {
    /// Reads a message; `None` for a type that there is not.
    #[must_use]
    pub fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        let mut from = Reader(bytes);
        let message = match from.u16()? {
            kind::ACK => Self::Ack,
            kind::HELLO => Self::Hello {
                name: from.bytes()?,
                min_version: from.u16()?,
                max_version: from.u16()?,
                max_region: from.u16()?,
                max_m2s_ring: from.u16()?,
                max_s2m_ring: from.u16()?,
                max_log2_ring_size: from.u8()?,
            },
            kind::INIT => Self::Init {
                version: from.u16()?,
                id: from.u32()?,
                mode: from.u8()?,
                secret: from.bytes()?,
                name: from.bytes()?,
            },
            kind::ADD_REGION => Self::AddRegion { index: from.u16()?, size: from.u64()? },
            kind::ADD_RING => Self::AddRing {
                flags: from.u16()?,
                index: from.u16()?,
                region: from.u16()?,
                offset: from.u32()?,
                log2_ring_size: from.u8()?,
                private_hdr_size: from.u16()?,
            },
            kind::CONNECT => Self::Connect { name: from.bytes()? },
            kind::CONNECTED => Self::Connected { name: from.bytes()? },
            kind::DISCONNECT => Self::Disconnect { code: from.u32()?, reason: from.bytes()? },
            _ => return None,
        };
        Some(message)
    }

    /// The inverse of [`Self::parse`].
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut to = Writer { bytes: [0; LEN], at: 0 };
        match self {
            Self::Ack => to.put(kind::ACK.to_le_bytes()),
            Self::Hello {
                name,
                min_version,
                max_version,
                max_region,
                max_m2s_ring,
                max_s2m_ring,
                max_log2_ring_size,
            } => {
                to.put(kind::HELLO.to_le_bytes());
                to.put(*name);
                let words = [min_version, max_version, max_region, max_m2s_ring, max_s2m_ring];
                words.into_iter().for_each(|word| to.put(word.to_le_bytes()));
                to.put([*max_log2_ring_size]);
            }
            Self::Init { version, id, mode, secret, name } => {
                to.put(kind::INIT.to_le_bytes());
                to.put(version.to_le_bytes());
                to.put(id.to_le_bytes());
                to.put([*mode]);
                to.put(*secret);
                to.put(*name);
            }
            Self::AddRegion { index, size } => {
                to.put(kind::ADD_REGION.to_le_bytes());
                to.put(index.to_le_bytes());
                to.put(size.to_le_bytes());
            }
            Self::AddRing { flags, index, region, offset, log2_ring_size, private_hdr_size } => {
                to.put(kind::ADD_RING.to_le_bytes());
                [flags, index, region].into_iter().for_each(|word| to.put(word.to_le_bytes()));
                to.put(offset.to_le_bytes());
                to.put([*log2_ring_size]);
                to.put(private_hdr_size.to_le_bytes());
            }
            Self::Connect { name } => {
                to.put(kind::CONNECT.to_le_bytes());
                to.put(*name);
            }
            Self::Connected { name } => {
                to.put(kind::CONNECTED.to_le_bytes());
                to.put(*name);
            }
            Self::Disconnect { code, reason } => {
                to.put(kind::DISCONNECT.to_le_bytes());
                to.put(code.to_le_bytes());
                to.put(*reason);
            }
        }
        to.bytes
    }

    /// Whether a descriptor comes beside it.
    #[must_use]
    pub const fn brings_descriptor(&self) -> bool {
        matches!(self, Self::AddRegion { .. } | Self::AddRing { .. })
    }

    /// That it is over, and why.
    #[must_use]
    pub fn disconnect(reason: &str) -> Self {
        Self::Disconnect { code: 0, reason: padded(reason) }
    }
}

/// Text in a field, cut to leave a zero behind it, as libmemif's `strlcpy` does.
#[must_use]
pub fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().take(N - 1).zip(text.bytes()) {
        *to = from;
    }
    field
}

/// The text in a field, up to the first zero, fit to be printed: nobody's terminal obeys a peer.
#[must_use]
pub fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).replace(|c: char| c.is_control(), "?")
}

/// Bytes, from the first on.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }
}

/// A message in the making.
struct Writer {
    bytes: [u8; LEN],
    at: usize,
}

impl Writer {
    /// Every message is shorter than [`LEN`].
    fn put<const N: usize>(&mut self, field: [u8; N]) {
        self.bytes[self.at..self.at + N].copy_from_slice(&field);
        self.at += N;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is read says as much as what was written, whatever was written.
        #[test]
        fn any_bytes_are_a_message_or_none(kind in 0..12u16, rest in prop::collection::vec(any::<u8>(), LEN - 2)) {
            let mut bytes = [0; LEN];
            bytes[..2].copy_from_slice(&kind.to_le_bytes());
            bytes[2..].copy_from_slice(&rest);
            let message = Message::parse(&bytes);
            prop_assert_eq!(message.is_some(), (1..=8).contains(&kind));
            if let Some(message) = message {
                let again = message.to_bytes();
                let said = again.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                prop_assert_eq!(&again[..said], &bytes[..said]);
                prop_assert_eq!(Message::parse(&again), Some(message));
            }
        }

        #[test]
        fn text_is_cut_and_harmless(said in "\\PC{0,200}", raw in prop::collection::vec(any::<u8>(), NAME)) {
            let field: [u8; NAME] = padded(&said);
            prop_assert_eq!(field[NAME - 1], 0);
            prop_assert!(text(&raw).chars().all(|c| !c.is_control()));
            if said.len() < NAME {
                prop_assert_eq!(text(&field), said);
            }
        }
    }

    /// Where DPDK and VPP have the fields.
    #[test]
    fn fields_are_where_others_have_them() {
        let bytes = Message::AddRing {
            flags: S2M,
            index: 0x0203,
            region: 0x0405,
            offset: 0x0607_0809,
            log2_ring_size: 10,
            private_hdr_size: 0x0b0c,
        }
        .to_bytes();
        assert_eq!(bytes[..15], [5, 0, 1, 0, 3, 2, 5, 4, 9, 8, 7, 6, 10, 0x0c, 0x0b]);
        let (secret, name) = (padded("secret"), padded("name"));
        let bytes = Message::Init { version: VERSION, id: 7, mode: ETHERNET, secret, name }.to_bytes();
        assert_eq!(bytes[..9], [3, 0, 0, 2, 7, 0, 0, 0, 0]);
        assert_eq!((&bytes[9..15], &bytes[33..37]), (&b"secret"[..], &b"name"[..]));
        let bytes = Message::disconnect("why").to_bytes();
        assert_eq!((bytes[0], &bytes[6..9]), (8, &b"why"[..]));
        let bytes = Message::AddRegion { index: 1, size: 1 << 32 }.to_bytes();
        assert_eq!(bytes[..12], [4, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    }
}
