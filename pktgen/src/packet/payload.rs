//! What stands behind the headers.

use std::str::FromStr;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// netmap's payload, by which a capture shows where a frame came from.
const NETMAP: &[u8] = b"netmap pkt-gen DIRECT payload\nhttp://info.iet.unipi.it/~luigi/netmap/ ";

/// The bytes of a frame behind its headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// netmap's text, repeated.
    #[default]
    Netmap,
    /// All bits clear.
    Zero,
    /// All bits set.
    Ones,
    /// 0, 1, 2 and so on to 255, repeated.
    Increment,
    /// Random bytes, the same ones in every frame.
    Random,
    /// These bytes, repeated; none are zeroes.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Most bytes that can be given.
    pub const MOST: usize = 65_536;

    pub(super) fn fill(&self, to: &mut [u8], rng: &mut Rng) {
        match self {
            Self::Netmap => repeat(NETMAP, to),
            Self::Zero => to.fill(0),
            Self::Ones => to.fill(0xff),
            Self::Increment => to.iter_mut().zip((0..=u8::MAX).cycle()).for_each(|(to, n)| *to = n),
            Self::Random => rng.fill(to),
            Self::Bytes(bytes) => repeat(bytes, to),
        }
    }
}

fn repeat(bytes: &[u8], to: &mut [u8]) {
    to.fill(0);
    to.iter_mut().zip(bytes.iter().cycle()).for_each(|(to, from)| *to = *from);
}

/// The text is no payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no payload: {1} (try: netmap, zero, ones, increment, random, 0xc0ffee or a text)")]
pub struct BadPayload(String, &'static str);

impl FromStr for Payload {
    type Err = BadPayload;

    fn from_str(text: &str) -> Result<Self, BadPayload> {
        let bad = |why| BadPayload(text.to_owned(), why);
        let payload = match text {
            "netmap" => Self::Netmap,
            "zero" => Self::Zero,
            "ones" => Self::Ones,
            "increment" => Self::Increment,
            "random" => Self::Random,
            _ => match text.strip_prefix("0x") {
                Some(digits) => {
                    Self::Bytes(hex(digits).ok_or_else(|| bad("hexadecimal digits come in pairs"))?)
                }
                None => Self::Bytes(text.as_bytes().to_vec()),
            },
        };
        match &payload {
            Self::Bytes(bytes) if bytes.is_empty() => Err(bad("there is nothing to repeat")),
            Self::Bytes(bytes) if bytes.len() > Self::MOST => Err(bad("there are more than 65536 bytes")),
            _ => Ok(payload),
        }
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits = digits.collect::<Option<Vec<u8>>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> [u8; 6] {
        let mut to = [7; 6];
        text.parse::<Payload>().unwrap().fill(&mut to, &mut Rng::with_seed(1));
        to
    }

    #[test]
    fn payloads_are_what_they_are_called() {
        assert_eq!(filled("netmap"), *b"netmap");
        assert_eq!(
            [filled("zero"), filled("ones"), filled("increment")],
            [[0; 6], [255; 6], [0, 1, 2, 3, 4, 5]]
        );
        assert_eq!(filled("0xC0ffee"), [0xc0, 0xff, 0xee, 0xc0, 0xff, 0xee]);
        assert_eq!(filled("Hello, world"), *b"Hello,");
        assert_eq!(filled("ab"), *b"ababab");
        assert!(filled("random") == filled("random") && filled("random")[..3] != filled("random")[3..]);
        let mut to = [7; 3];
        Payload::Bytes(Vec::new()).fill(&mut to, &mut Rng::with_seed(1));
        assert_eq!(to, [0; 3]);
    }

    #[test]
    fn bad_payloads_are_named() {
        for (text, why) in
            [("", "nothing"), ("0x", "nothing"), ("0xabc", "pairs"), ("0xgg", "pairs"), ("0xé", "pairs")]
        {
            let error = text.parse::<Payload>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("try: netmap"), "{error}");
        }
        assert!("x".repeat(65_537).parse::<Payload>().is_err());
    }
}
