//! A flow: who sends to whom.

/// Addresses and UDP ports of one packet. An IPv4 address stands in the low 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub src: u128,
    /// Source UDP port.
    pub src_port: u16,
    /// Destination address.
    pub dst: u128,
    /// Destination UDP port.
    pub dst_port: u16,
}

/// The IPv4 address in the low bits.
pub(super) const fn v4(address: u128) -> u32 {
    let [.., a, b, c, d] = address.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Ones' complement sum of an address, not folded. 32-bit words will do: 2^16 is 1 modulo 2^16 - 1 (RFC 1071, 2C).
fn sum(address: u128) -> u64 {
    [0, 32, 64, 96].map(|bits| u64::from(v4(address >> bits))).iter().sum()
}

impl Flow {
    /// Sum of the addresses for a checksum.
    #[inline]
    pub(super) fn address_sum(&self) -> u64 {
        sum(self.src) + sum(self.dst)
    }

    /// The same of a flow of IPv4.
    #[inline]
    pub(super) fn address_sum_v4(&self) -> u64 {
        u64::from(v4(self.src)) + u64::from(v4(self.dst))
    }

    #[inline]
    pub(super) fn port_sum(&self) -> u64 {
        u64::from(self.src_port) + u64::from(self.dst_port)
    }
}
