//! The tree of a dissection: a field's name, bytes, value and meaning, and what
//! was found wrong on the way.
//!
//! Keys are the names of Wireshark's display filters, so that a decode can be
//! held against tshark's mechanically. Nothing here reads bytes.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use thiserror::Error;

use super::ethernet::HardwareAddress;

/// One field of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name by which Wireshark's display filters know it, such as
    /// `tcp.seq_raw`.
    pub key: &'static str,
    /// Its name for a reader.
    pub label: &'static str,
    /// Its bytes within the frame. Fields that share a byte share its place.
    pub range: Range<usize>,
    /// The value.
    pub value: Value,
    /// What the value means, where the value does not say it itself.
    pub meaning: Option<Cow<'static, str>>,
    /// Its parts, each within `range`.
    pub children: Vec<Field>,
}

impl Field {
    /// This field or the first of its parts that has this key, depth first.
    pub fn find(&self, key: &str) -> Option<&Field> {
        if self.key == key {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(key))
    }
}

impl fmt::Display for Field {
    /// `label = value (meaning)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label)?;
        match (&self.value, &self.meaning) {
            (Value::Group, None) => Ok(()),
            (Value::Group, Some(meaning)) => write!(f, ": {meaning}"),
            (value, None) => write!(f, " = {value}"),
            (value, Some(meaning)) => write!(f, " = {value} ({meaning})"),
        }
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number that people read in decimal.
    Number(u64),
    /// A number that people read in hexadecimal: a checksum, a set of flags.
    Hex {
        /// The number.
        number: u64,
        /// How many digits it is written with.
        digits: usize,
    },
    /// An IP address.
    Address(IpAddr),
    /// A hardware address.
    Hardware(HardwareAddress),
    /// Bytes that are not taken further apart.
    Bytes(Vec<u8>),
    /// Nothing of its own: the parts are the value.
    Group,
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Number(number) | Value::Hex { number, .. } => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Hex { number, digits } => write!(f, "{number:#0width$x}", width = digits + 2),
            Value::Address(address) => write!(f, "{address}"),
            Value::Hardware(address) => write!(f, "{address}"),
            Value::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
            Value::Group => Ok(()),
        }
    }
}

/// What was found wrong with a layer.
///
/// Incomplete is not malformed: see [`Fault::is_malformed`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes end within a field, because the packet was not captured,
    /// quoted or sent in one piece.
    #[error("ends within {field}, bytes missing: {missing}")]
    Cut {
        /// The field's label.
        field: &'static str,
        /// How many bytes it lacks.
        missing: usize,
    },
    /// The header says that there are more bytes than were captured.
    #[error("{field} says {stated} bytes, {available} were captured")]
    Missing {
        /// The length's label.
        field: &'static str,
        /// The length it states.
        stated: usize,
        /// The bytes there are.
        available: usize,
    },
    /// A field needs more bytes than the length stated around it leaves.
    #[error("no room for {field}, bytes missing: {missing}")]
    Overrun {
        /// The field's label.
        field: &'static str,
        /// How many bytes it lacks.
        missing: usize,
    },
    /// A length that cannot be.
    #[error("{field} says {stated} bytes, at least {minimum} are needed")]
    TooSmall {
        /// The length's label.
        field: &'static str,
        /// The length it states.
        stated: usize,
        /// The least that is possible.
        minimum: usize,
    },
    /// A length beyond what contains it.
    #[error("{field} says {stated} bytes, there is room for {available}")]
    TooLarge {
        /// The length's label.
        field: &'static str,
        /// The length it states.
        stated: usize,
        /// The most that is possible here.
        available: usize,
    },
    /// An option whose length is not what its kind demands.
    #[error("option {kind} cannot be {stated} bytes long")]
    OptionLength {
        /// The option's kind.
        kind: u8,
        /// The length it states, in bytes, header included.
        stated: usize,
    },
    /// The version is not what the layer around it announces.
    #[error("IP version {found} where {expected} belongs")]
    Version {
        /// What belongs here.
        expected: &'static str,
        /// What is here.
        found: u8,
    },
    /// UDP over IPv6 without a checksum (RFC 8200 section 8.1).
    #[error("UDP over IPv6 needs a checksum")]
    NoChecksum,
}

impl Fault {
    /// Whether the sender made a mistake, rather than this being only a part of
    /// what was sent.
    pub fn is_malformed(&self) -> bool {
        !matches!(self, Fault::Cut { .. } | Fault::Missing { .. })
    }
}
