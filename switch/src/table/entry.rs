//! One entry of the MAC table, in one word.

use ports::Mac;

use crate::PortIndex;

/// One entry; zero is vacant, since no station has the address zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    pub(super) const VACANT: Self = Self(0);

    pub(super) const fn new(mac: Mac, port: PortIndex, stamp: u8) -> Self {
        Self(mac.to_bits() << 16 | (port.number() as u64) << 8 | stamp as u64)
    }

    pub(super) const fn is_of(self, mac: Mac) -> bool {
        self.0 >> 16 == mac.to_bits()
    }

    pub(super) const fn mac(self) -> Mac {
        Mac::from_bits(self.0 >> 16)
    }

    /// The number of the port.
    #[expect(clippy::cast_possible_truncation, reason = "a byte of the word")]
    pub(super) const fn number(self) -> u8 {
        (self.0 >> 8) as u8
    }

    pub(super) const fn port(self) -> Option<PortIndex> {
        PortIndex::new(self.number() as usize)
    }

    pub(super) const fn stamp(self) -> u8 {
        (self.0 & 0xff) as u8
    }
}
