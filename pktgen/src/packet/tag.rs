//! VLAN tags.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A VLAN tag (IEEE 802.1Q-2022, 9.6): `ID[:PRIORITY]`, the identifier from 0 (no VLAN, just a priority) to 4094, the
/// priority from 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag {
    id: u16,
    priority: u8,
}

impl Tag {
    /// Most tags of a frame: an outer and an inner one.
    pub const MOST: usize = 2;

    /// What the tag says of the frame: its priority and its VLAN.
    pub(super) fn control(self) -> u16 {
        u16::from(self.priority) << 13 | self.id
    }

    /// The EtherType that announces the tag with so many behind it.
    pub(super) const fn ether_type(inner: usize) -> u16 {
        if inner > 0 { 0x88a8 } else { 0x8100 }
    }
}

/// The text is no VLAN tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no VLAN tag: an identifier from 0 to 4094 and perhaps a priority from 0 to 7 (try: 100 or 100:5)"
)]
pub struct BadTag(String);

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        let (id, priority) = text.split_once(':').unwrap_or((text, "0"));
        match (id.parse(), priority.parse()) {
            (Ok(id @ 0..=4094), Ok(priority @ 0..=7)) => Ok(Self { id, priority }),
            _ => Err(BadTag(text.to_owned())),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.priority)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

impl TryFrom<String> for Tag {
    type Error = BadTag;
    fn try_from(text: String) -> Result<Self, BadTag> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_and_written() {
        let control = |text: &str| text.parse::<Tag>().unwrap().control();
        assert_eq!([control("0"), control("4094:7"), control("100:5")], [0, 0xeffe, 0xa064]);
        assert_eq!("100".parse::<Tag>().unwrap().to_string().parse::<Tag>(), "100:0".parse());
        for bad in ["", "4095", "-1", "x", "1:8", "1:", ":1", "1:2:3"] {
            assert!(bad.parse::<Tag>().unwrap_err().to_string().contains("0 to 4094"), "{bad}");
        }
    }
}
