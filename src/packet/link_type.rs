//! What the first byte of a frame belongs to, numbered as the tcpdump.org
//! `LINKTYPE_` registry numbers it.
//!
//! Never guesses a link type from a frame's bytes.

use std::fmt;

use serde::{Serialize, Serializer};

/// What the first byte of a frame belongs to (the tcpdump.org `LINKTYPE_`
/// registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// An Ethernet header (`LINKTYPE_ETHERNET`, 1).
    Ethernet,
    /// An IPv4 or IPv6 header (`LINKTYPE_RAW`, 101).
    Raw,
    /// A number of the registry that is not dissected here.
    Unknown(u16),
}

impl LinkType {
    /// Its number in the registry, as pcapng writes it.
    pub fn number(self) -> u16 {
        match self {
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::Unknown(number) => number,
        }
    }
}

impl From<u16> for LinkType {
    fn from(number: u16) -> Self {
        match number {
            1 => LinkType::Ethernet,
            101 => LinkType::Raw,
            other => LinkType::Unknown(other),
        }
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkType::Ethernet => f.pad("ethernet"),
            LinkType::Raw => f.pad("raw"),
            LinkType::Unknown(number) => f.pad(&format!("linktype {number}")),
        }
    }
}

impl Serialize for LinkType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::LinkType;

    #[test]
    fn every_number_survives_the_round_trip() {
        for number in 0..=u16::MAX {
            assert_eq!(LinkType::from(number).number(), number);
        }
    }
}
