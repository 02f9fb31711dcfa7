//! What is said on the socket: the messages of the vhost-user protocol (QEMU `docs/interop/vhost-user.rst`), as bytes.
//!
//! A message is a header of three words, little endian here as the machine is, and a payload whose size the header
//! states. Descriptors travel beside it.

/// Bytes of a header: request, flags, size of the payload.
pub(super) const HEADER: usize = 12;
/// Longest payload that is read: a memory table of [`REGIONS`] regions, which is longer than all others.
pub(super) const MAX_PAYLOAD: usize = 8 + REGIONS * Region::LEN;
/// Most regions in one table (`VHOST_MEMORY_BASELINE_NREGIONS`), and so most descriptors beside one message.
pub(super) const REGIONS: usize = 8;

/// In the header's flags: version 1, which must be there.
const VERSION: u32 = 1;
const VERSION_MASK: u32 = 3;
/// In the header's flags: this is a reply.
const REPLY: u32 = 1 << 2;
/// In the header's flags: answer even if the request has no answer of its own.
const NEED_REPLY: u32 = 1 << 3;

/// Bits that the backend offers besides the device's features.
pub(super) mod protocol {
    /// Several queues; `GET_QUEUE_NUM`.
    pub(in super::super) const MQ: u64 = 1 << 0;
    /// Answers on demand.
    pub(in super::super) const REPLY_ACK: u64 = 1 << 3;
    /// `NET_SET_MTU`.
    pub(in super::super) const MTU: u64 = 1 << 4;
    /// Memory in slots that come and go one by one.
    pub(in super::super) const CONFIGURE_MEM_SLOTS: u64 = 1 << 15;
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) request: u32,
    flags: u32,
    /// Bytes of the payload.
    pub(super) size: usize,
}

impl Header {
    /// Reads a header; `None` if it is of no version we know, or announces more than any request has.
    pub(super) fn parse(bytes: [u8; HEADER]) -> Option<Self> {
        let mut words = Words(&bytes);
        let (request, flags, size) = (words.u32()?, words.u32()?, words.u32()? as usize);
        let known = flags & VERSION_MASK == VERSION && flags & REPLY == 0;
        (known && size <= MAX_PAYLOAD).then_some(Self { request, flags, size })
    }

    /// Whether an answer is asked for.
    pub(super) const fn needs_reply(self) -> bool {
        self.flags & NEED_REPLY != 0
    }
}

/// A region of the guest's memory, as it is announced; everything in it is a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// First address as the guest's descriptors have it.
    pub(super) guest: u64,
    /// Bytes.
    pub(super) len: u64,
    /// First address as the front-end's ring addresses have it.
    pub(super) user: u64,
    /// Where it starts in the file that comes with it.
    pub(super) offset: u64,
}

impl Region {
    pub(super) const LEN: usize = 32;

    fn parse(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { guest: words.u64()?, len: words.u64()?, user: words.u64()?, offset: words.u64()? })
    }
}

/// Where the parts of a ring are, in the front-end's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) descriptors: u64,
    pub(super) used: u64,
    pub(super) available: u64,
}

/// What the front-end asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    GetFeatures,
    SetFeatures(u64),
    SetOwner,
    ResetOwner,
    SetMemTable(Vec<Region>),
    SetVringNum {
        ring: u32,
        slots: u32,
    },
    SetVringAddr {
        ring: u32,
        addresses: Addresses,
    },
    SetVringBase {
        ring: u32,
        base: u32,
    },
    GetVringBase {
        ring: u32,
    },
    /// The descriptor beside it, unless `fd` is false.
    SetVringKick {
        ring: u32,
        fd: bool,
    },
    SetVringCall {
        ring: u32,
        fd: bool,
    },
    SetVringErr {
        ring: u32,
        fd: bool,
    },
    GetProtocolFeatures,
    SetProtocolFeatures(u64),
    GetQueueNum,
    SetVringEnable {
        ring: u32,
        on: bool,
    },
    SetMtu(u64),
    GetMaxMemSlots,
    AddMemReg(Region),
    RemMemReg(Region),
    /// One that we never offered.
    Unknown(u32),
}

/// In the payload of `SET_VRING_KICK` and its like: the ring, and whether no descriptor comes.
const RING_MASK: u64 = 0xff;
const NO_FD: u64 = 1 << 8;

impl Request {
    /// Reads the payload of a request; `None` if it is too short for it.
    pub(super) fn parse(request: u32, payload: &[u8]) -> Option<Self> {
        let mut words = Words(payload);
        Some(match request {
            1 => Self::GetFeatures,
            2 => Self::SetFeatures(words.u64()?),
            3 => Self::SetOwner,
            4 => Self::ResetOwner,
            5 => Self::SetMemTable(table(&mut words)?),
            8 => Self::SetVringNum { ring: words.u32()?, slots: words.u32()? },
            9 => addresses(&mut words)?,
            10 => Self::SetVringBase { ring: words.u32()?, base: words.u32()? },
            11 => Self::GetVringBase { ring: words.u32()? },
            12..=14 => descriptor(request, words.u64()?),
            15 => Self::GetProtocolFeatures,
            16 => Self::SetProtocolFeatures(words.u64()?),
            17 => Self::GetQueueNum,
            18 => Self::SetVringEnable { ring: words.u32()?, on: words.u32()? != 0 },
            20 => Self::SetMtu(words.u64()?),
            36 => Self::GetMaxMemSlots,
            37 => Self::AddMemReg(lone_region(&mut words)?),
            38 => Self::RemMemReg(lone_region(&mut words)?),
            other => Self::Unknown(other),
        })
    }
}

impl Request {
    /// Most descriptors that come beside it. One that goes with a region that is removed is not needed, but common
    /// (`VHOST_USER_REM_MEM_REG`).
    pub(super) const fn descriptors(&self) -> usize {
        match self {
            Self::SetMemTable(table) => table.len(),
            Self::SetVringKick { fd, .. } | Self::SetVringCall { fd, .. } | Self::SetVringErr { fd, .. } => {
                *fd as usize
            }
            Self::AddMemReg(_) | Self::RemMemReg(_) => 1,
            _ => 0,
        }
    }
}

fn table(words: &mut Words<'_>) -> Option<Vec<Region>> {
    let (count, _padding) = (words.u32()? as usize, words.u32()?);
    if count > REGIONS {
        return None;
    }
    (0..count).map(|_| Region::parse(words)).collect()
}

fn lone_region(words: &mut Words<'_>) -> Option<Region> {
    let _padding = words.u64()?;
    Region::parse(words)
}

fn addresses(words: &mut Words<'_>) -> Option<Request> {
    let (ring, _flags) = (words.u32()?, words.u32()?); // the only flag asks for a log, which was not offered
    let (descriptors, used, available) = (words.u64()?, words.u64()?, words.u64()?);
    Some(Request::SetVringAddr { ring, addresses: Addresses { descriptors, used, available } })
}

const fn descriptor(request: u32, word: u64) -> Request {
    let (ring, fd) = ((word & RING_MASK) as u32, word & NO_FD == 0);
    match request {
        12 => Request::SetVringKick { ring, fd },
        13 => Request::SetVringCall { ring, fd },
        _ => Request::SetVringErr { ring, fd },
    }
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A number: features, a count, or how it went (zero is well).
    Number(u64),
    /// The index from which a ring goes on.
    VringBase { ring: u32, base: u32 },
}

impl Reply {
    /// The whole message that answers `request`.
    pub(super) fn to_bytes(self, request: u32) -> Vec<u8> {
        let payload = match self {
            Self::Number(n) => n.to_le_bytes().to_vec(),
            Self::VringBase { ring, base } => [ring.to_le_bytes(), base.to_le_bytes()].concat(),
        };
        let size = u32::try_from(payload.len()).unwrap_or(0);
        let header = [request, VERSION | REPLY, size].map(u32::to_le_bytes).concat();
        [header, payload].concat()
    }
}

/// Words off the front of a payload.
struct Words<'b>(&'b [u8]);

impl Words<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*word))
    }

    fn u64(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_of_version_one_and_no_reply() {
        let header = |flags: u32, size: u32| {
            Header::parse([1, flags, size].map(u32::to_le_bytes).concat().try_into().unwrap())
        };
        assert!(!header(1, 0).unwrap().needs_reply());
        assert!(header(9, 8).unwrap().needs_reply());
        for (flags, size) in [(0, 0), (2, 0), (5, 0), (1, 265), (1, u32::MAX)] {
            assert_eq!(header(flags, size), None, "{flags} {size}");
        }
    }

    #[test]
    fn a_table_says_how_long_it_is() {
        let mut bytes = [2u32, 0].map(u32::to_le_bytes).concat();
        bytes.extend((1u64..=8).flat_map(u64::to_le_bytes));
        let region = |n| Region { guest: n, len: n + 1, user: n + 2, offset: n + 3 };
        assert_eq!(Request::parse(5, &bytes), Some(Request::SetMemTable(vec![region(1), region(5)])));
        assert_eq!(Request::parse(5, &bytes[..bytes.len() - 1]), None);
        bytes[0] = 9;
        assert_eq!(Request::parse(5, &bytes), None);
    }

    #[test]
    fn a_ring_may_come_without_a_descriptor() {
        let parse = |word: u64| Request::parse(12, &word.to_le_bytes()).unwrap();
        assert_eq!(parse(0x1), Request::SetVringKick { ring: 1, fd: true });
        assert_eq!(parse(0x101), Request::SetVringKick { ring: 1, fd: false });
    }

    #[test]
    fn few_requests_bring_descriptors() {
        let most = |request, payload: &[u64]| {
            let payload = payload.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
            Request::parse(request, &payload).unwrap().descriptors()
        };
        let region = [0; 5];
        assert_eq!([most(1, &[]), most(3, &[]), most(8, &[0]), most(18, &[0])], [0; 4]);
        assert_eq!([most(12, &[1]), most(13, &[1]), most(14, &[1])], [1; 3]);
        assert_eq!(
            [most(12, &[0x101]), most(13, &[0x101]), most(14, &[0x101])],
            [0; 3],
            "it says that none comes"
        );
        assert_eq!([most(37, &region), most(38, &region)], [1; 2]);
        assert_eq!([most(5, &[0]), most(5, &[&[2], &[0; 8][..]].concat())], [0, 2]);
    }

    #[test]
    fn replies_are_marked_as_such() {
        let bytes = Reply::VringBase { ring: 1, base: 7 }.to_bytes(11);
        assert_eq!(
            bytes,
            [[11u32, 5, 8].map(u32::to_le_bytes).concat(), [1u32, 7].map(u32::to_le_bytes).concat()].concat()
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(request in 0u32..45, payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)) {
            let _ = Request::parse(request, &payload);
        }
    }
}
