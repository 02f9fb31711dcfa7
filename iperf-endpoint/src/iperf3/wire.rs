//! The iperf3 control connection: one state byte at a time, cookies, and JSON behind a length.
//!
//! A state may arrive at any moment and two may arrive in one segment, so everything is read bytewise out of
//! an inbox. Nothing a peer sends makes the inbox grow past [`INBOX`].

use crate::transport::{Connection, State as TcpState, Transport};

/// Bytes of a cookie: 36 characters and a NUL.
pub(crate) const COOKIE_LEN: usize = 37;
/// Longest parameter message taken, bytes; newer stock servers have the same bound.
pub(crate) const MAX_PARAMS: usize = 8 << 10;
/// Longest result message taken, bytes. 256 streams (`-P 128 --bidir`) come to about 40 KiB.
pub(crate) const MAX_RESULTS: usize = 64 << 10;
/// Most bytes held of a control connection.
const INBOX: usize = MAX_RESULTS + 64;

/// `iperf_api.h`: the states that either side announces, one signed byte each.
pub(crate) mod state {
    pub(crate) const TEST_START: i8 = 1;
    pub(crate) const TEST_RUNNING: i8 = 2;
    pub(crate) const TEST_END: i8 = 4;
    pub(crate) const PARAM_EXCHANGE: i8 = 9;
    pub(crate) const CREATE_STREAMS: i8 = 10;
    pub(crate) const SERVER_TERMINATE: i8 = 11;
    pub(crate) const CLIENT_TERMINATE: i8 = 12;
    pub(crate) const EXCHANGE_RESULTS: i8 = 13;
    pub(crate) const DISPLAY_RESULTS: i8 = 14;
    pub(crate) const IPERF_DONE: i8 = 16;
    pub(crate) const ACCESS_DENIED: i8 = -1;
    pub(crate) const SERVER_ERROR: i8 = -2;
}

/// What ties the connections of one test together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cookie([u8; COOKIE_LEN]);

impl Cookie {
    /// A cookie of the stock alphabet (`a-z2-7`), drawn from `seed` by splitmix64.
    pub(crate) fn new(mut seed: u64) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut bytes = [0; COOKIE_LEN];
        for b in &mut bytes[..COOKIE_LEN - 1] {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *b = ALPHABET[(z >> 59) as usize];
        }
        Self(bytes)
    }

    /// The cookie in `bytes`, unless they are some other protocol's: every version of iperf3 sends printable
    /// characters, NUL at the end.
    pub(crate) fn parse(bytes: [u8; COOKIE_LEN]) -> Option<Self> {
        let text = bytes.iter().position(|&b| b == 0)?;
        let printable = bytes[..text].iter().all(u8::is_ascii_graphic);
        let padded = bytes[text..].iter().all(|&b| b == 0);
        (text > 0 && printable && padded).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The cookie without its padding.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.0.split(|&b| b == 0).next().unwrap_or_default()).into_owned()
    }
}

/// The length that a peer announced for its JSON is over the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oversized;

/// A control connection, or one that has not yet said what it is.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) connection: Connection,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Control {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, inbox: Vec::new(), outbox: Vec::new() }
    }

    /// A control connection by which this has come, as much as is ever held.
    #[cfg(any(test, feature = "hostile"))]
    pub(crate) fn with(connection: Connection, inbox: &[u8]) -> Self {
        Self { inbox: inbox[..inbox.len().min(INBOX)].to_vec(), ..Self::new(connection) }
    }

    /// Takes in what has arrived; whether there was anything.
    pub(crate) fn fill<T: Transport>(&mut self, transport: &mut T) -> bool {
        let mut chunk = [0; 1024];
        let mut any = false;
        while self.inbox.len() < INBOX {
            let room = chunk.len().min(INBOX - self.inbox.len());
            let n = transport.receive(self.connection, &mut chunk[..room]);
            self.inbox.extend_from_slice(&chunk[..n]);
            any |= n > 0;
            if n < room {
                break;
            }
        }
        any
    }

    /// Sends what is queued and fits; whether anything went.
    pub(crate) fn flush<T: Transport>(&mut self, transport: &mut T) -> bool {
        if self.outbox.is_empty() {
            return false;
        }
        let n = transport.send(self.connection, &self.outbox);
        self.outbox.drain(..n.min(self.outbox.len()));
        n > 0
    }

    /// Whether everything queued is with the stack.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether everything queued has reached the peer's stack, or never will.
    pub(crate) fn delivered<T: Transport>(&self, transport: &T) -> bool {
        let sent = self.outbox.is_empty() && transport.unacknowledged(self.connection) == 0;
        sent || transport.state(self.connection) == TcpState::Closed
    }

    /// Whether the peer has closed or reset the connection.
    pub(crate) fn gone<T: Transport>(&self, transport: &T) -> bool {
        matches!(transport.state(self.connection), TcpState::PeerClosed | TcpState::Closed)
    }

    pub(crate) fn queue_cookie(&mut self, cookie: &Cookie) {
        self.outbox.extend_from_slice(cookie.bytes());
    }

    pub(crate) fn queue_state(&mut self, state: i8) {
        self.outbox.push(state.cast_unsigned());
    }

    pub(crate) fn queue_word(&mut self, word: u32) {
        self.outbox.extend_from_slice(&word.to_be_bytes());
    }

    /// Queues `json` behind its length.
    pub(crate) fn queue_message(&mut self, json: &[u8]) {
        self.queue_word(u32::try_from(json.len()).unwrap_or(u32::MAX));
        self.outbox.extend_from_slice(json);
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.inbox.first_chunk::<N>()?;
        self.inbox.drain(..N);
        Some(taken)
    }

    /// The first 37 bytes, once they are here.
    pub(crate) fn take_cookie(&mut self) -> Option<[u8; COOKIE_LEN]> {
        self.take()
    }

    pub(crate) fn take_state(&mut self) -> Option<i8> {
        self.take::<1>().map(|[b]| b.cast_signed())
    }

    pub(crate) fn take_word(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// A whole message of at most `limit` bytes, once it is here.
    pub(crate) fn take_message(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Oversized> {
        let Some(length) = self.inbox.first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*length) as usize;
        if len > limit {
            return Err(Oversized);
        }
        if self.inbox.len() < 4 + len {
            return Ok(None);
        }
        let message = self.inbox[4..4 + len].to_vec();
        self.inbox.drain(..4 + len);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(inbox: &[u8]) -> Control {
        Control::with(Connection(0), inbox)
    }

    #[test]
    fn cookies_are_of_the_stock_alphabet_and_differ() {
        let (a, b) = (Cookie::new(1), Cookie::new(2));
        assert_ne!(a, b);
        assert_eq!(a.text().len(), 36);
        assert!(a.text().bytes().all(|c| c.is_ascii_lowercase() || (b'2'..=b'7').contains(&c)));
        assert_eq!(Cookie::parse(a.0), Some(a));
        assert_eq!(Cookie::parse(*b"GET / HTTP/1.1\r\nHost: example.com\r\nAc"), None);
        assert_eq!(Cookie::parse([0; COOKIE_LEN]), None);
    }

    #[test]
    fn messages_wait_until_they_are_whole() {
        let mut c = control(&[0, 0, 0, 2, b'{']);
        assert_eq!(c.take_message(8), Ok(None));
        c.inbox.push(b'}');
        c.inbox.push(1);
        assert_eq!(c.take_message(8), Ok(Some(b"{}".to_vec())));
        assert_eq!(c.take_state(), Some(1));
        assert_eq!(c.take_state(), None);
    }

    #[test]
    fn a_length_over_the_bound_is_refused_at_once() {
        assert_eq!(control(&[0, 0, 0, 9]).take_message(8), Err(Oversized));
        assert_eq!(control(&[0xff; 4]).take_message(MAX_RESULTS), Err(Oversized));
    }

    #[test]
    fn queued_messages_carry_their_length() {
        let mut c = control(&[]);
        c.queue_state(state::SERVER_ERROR);
        c.queue_message(b"{}");
        assert_eq!(c.outbox, [0xfe, 0, 0, 0, 2, b'{', b'}']);
    }
}
