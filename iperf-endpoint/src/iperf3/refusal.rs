//! Why a server turns a client away, in the numbers that stock iperf3 knows.
//!
//! They travel behind `SERVER_ERROR` as `i_errno` (`iperf_api.h`) and `errno`, and stock clients print their own
//! words for them; ours prints these.

/// `i_errno` of stock iperf3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u32);

impl Refusal {
    pub(crate) const DURATION: Self = Self(5);
    pub(crate) const STREAMS: Self = Self(6);
    pub(crate) const BLOCK: Self = Self(7);
    pub(crate) const WINDOW: Self = Self(8);
    pub(crate) const MSS: Self = Self(10);
    pub(crate) const OMIT: Self = Self(12);
    pub(crate) const BURST: Self = Self(14);
    pub(crate) const NO_SCTP: Self = Self(18);
    pub(crate) const BOTH_WAYS: Self = Self(25);
    pub(crate) const MESSAGE: Self = Self(110);
    pub(crate) const PARAMS: Self = Self(114);
    pub(crate) const RESULTS: Self = Self(117);
    pub(crate) const NO_PROTOCOL: Self = Self(131);

    /// What it means, for a user.
    pub(crate) fn text(self) -> String {
        match self.0 {
            5 => "the test would last too long (at most 86400 seconds)".into(),
            6 => "number of parallel streams out of range (1 to 128)".into(),
            7 => "block size out of range (1 byte to 1 MiB)".into(),
            8 => "window too large (at most 512 MiB)".into(),
            10 => "MSS too large".into(),
            12 => "omitted time out of range (0 to 600 seconds)".into(),
            14 => "burst out of range (0 to 1000 blocks)".into(),
            18 => "no SCTP here".into(),
            25 => "a test is either reverse or bidirectional".into(),
            27 => "the bitrate is over the server's limit".into(),
            110 => "unknown message on the control connection".into(),
            114 => "the parameters could not be read".into(),
            117 => "the results could not be read".into(),
            131 => "the protocol asked for is not served (TCP only)".into(),
            142 => "not authorized (this endpoint does not authenticate)".into(),
            n => format!("iperf3 error number {n}"),
        }
    }
}
