//! A message's fields in their order, from bytes of which the end may not have
//! arrived.
//!
//! Incomplete is not malformed: the same bytes are read again from their
//! beginning once there are more.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::handshake::Refusal;

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Its end has not arrived.
    Incomplete,
    /// It never will be one.
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads from the front.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let end = self.taken + count;
        let found = self.bytes.get(self.taken..end).ok_or(Fault::Incomplete)?;
        self.taken = end;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    /// A port, or any other number of sixteen bits.
    pub(super) fn port(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn ipv4(&mut self) -> Result<Ipv4Addr, Fault> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    pub(super) fn ipv6(&mut self) -> Result<Ipv6Addr, Fault> {
        self.array::<16>().map(Ipv6Addr::from)
    }

    /// Bytes behind their count.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], Fault> {
        let count = self.byte()?;
        self.take(count.into())
    }

    /// Bytes before a NUL, at most `most` of them.
    pub(super) fn ended(&mut self, most: usize) -> Result<&'a [u8], Fault> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        match rest.iter().take(most + 1).position(|byte| *byte == 0) {
            Some(length) => {
                self.taken += length + 1;
                Ok(&rest[..length])
            }
            None if rest.len() > most => Err(Refusal::TooLong.into()),
            None => Err(Fault::Incomplete),
        }
    }
}
