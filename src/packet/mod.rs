//! Packets as bytes and as meaning.
//!
//! Pure: bytes in, values out.

use std::net::IpAddr;
use std::ops::Range;

use serde::Serialize;

/// What the first byte of a frame belongs to (the tcpdump.org `LINKTYPE_`
/// registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkType {
    /// An Ethernet header (`LINKTYPE_ETHERNET`, 1).
    Ethernet,
    /// An IPv4 or IPv6 header (`LINKTYPE_RAW`, 101).
    Raw,
}

/// A packet taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Dissection {
    /// Outermost first.
    pub layers: Vec<Layer>,
}

/// One protocol's part of a packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Byte range within the frame.
    pub range: Range<usize>,
    /// The fields.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name by which Wireshark's display filters know it, such as `tcp.seq`.
    pub key: &'static str,
    /// For a reader.
    pub label: &'static str,
    /// Byte range within the frame.
    pub range: Range<usize>,
    /// The value.
    pub value: Value,
    /// Parts of it.
    pub children: Vec<Field>,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// An address.
    Address(IpAddr),
}
