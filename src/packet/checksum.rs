//! The Internet checksum (RFC 1071) and the pseudo headers it is taken over
//! (RFC 9293 section 3.1, RFC 8200 section 8.1).
//!
//! Never decides whether a packet is dropped; it only says what it found.

use std::fmt;
use std::net::IpAddr;

/// A running ones' complement sum.
///
/// ```
/// use socklab::packet::checksum::Sum;
///
/// // The example of RFC 1071 section 3.
/// let sum = Sum::new().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
/// assert_eq!(sum.checksum(), !0xddf2);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    total: u64,
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes. They may come in pieces of any length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut bytes = bytes;
        if let (true, [first, rest @ ..]) = (self.odd, bytes) {
            self.total += u64::from(*first);
            self.odd = false;
            bytes = rest;
        }
        // Words of four bytes fold to the same sum as their halves.
        let words = bytes.chunks_exact(4);
        let pairs = words.remainder().chunks_exact(2);
        if let [last] = pairs.remainder() {
            self.total += u64::from(*last) << 8;
            self.odd = true;
        }
        for word in words {
            self.total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        for pair in pairs {
            self.total += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
        self
    }

    /// Adds the pseudo header of a transport protocol, whose segment is
    /// `length` bytes long.
    #[must_use]
    pub fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        // Zero bytes do not change the sum, so one layout serves both versions.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.address(source)
            .address(destination)
            .bytes(&[0, protocol])
            .bytes(&length.to_be_bytes())
    }

    /// Takes a word that began at an even place out of the sum again.
    fn without(mut self, word: u16) -> Self {
        self.total += u64::from(!word);
        self
    }

    /// The checksum to send: the sum's ones' complement.
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether a sum that includes the checksum itself proves it right.
    pub fn is_valid(self) -> bool {
        self.folded() == u16::MAX
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    fn folded(self) -> u16 {
        let mut total = self.total;
        while let (carry @ 1.., low) = (total >> 16, total & 0xffff) {
            total = carry + low;
        }
        u16::try_from(total).unwrap_or(u16::MAX)
    }
}

/// The checksum of `bytes` alone, as IPv4's header and ICMP use it.
pub fn checksum(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).checksum()
}

/// What became of checking a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is right.
    Good,
    /// It is wrong.
    Bad {
        /// What it should be.
        expected: u16,
    },
    /// It could not be checked.
    Unverified(Reason),
}

impl Status {
    /// Judges a checksum that was sent as `found`, where `sum` is over all that
    /// it covers, the checksum itself included.
    pub(super) fn judge(sum: Sum, found: u16) -> Self {
        if sum.is_valid() {
            return Status::Good;
        }
        Status::Bad {
            expected: sum.without(found).checksum(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Good => f.pad("good"),
            Status::Bad { expected } => write!(f, "bad, should be {expected:#06x}"),
            Status::Unverified(reason) => write!(f, "unverified: {reason}"),
        }
    }
}

/// Why a checksum could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It covers the whole datagram, of which this is one fragment.
    Fragment,
    /// It covers bytes that were not captured.
    Truncated,
    /// It covers bytes that an ICMP error did not quote.
    Quoted,
    /// The network device fills it in after the capture.
    Offloaded,
    /// The sender sent none: zero, as UDP over IPv4 allows (RFC 768).
    Absent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Reason::Fragment => "fragment",
            Reason::Truncated => "truncated",
            Reason::Quoted => "quoted in part",
            Reason::Offloaded => "offloaded",
            Reason::Absent => "none sent",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Status, Sum, checksum};

    proptest! {
        #[test]
        fn pieces_sum_like_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            first in 0_usize..200,
            second in 0_usize..200,
        ) {
            let (first, second) = (first.min(bytes.len()), second.min(bytes.len()));
            let (first, second) = (first.min(second), first.max(second));
            let sum = Sum::new()
                .bytes(&bytes[..first])
                .bytes(&bytes[first..second])
                .bytes(&bytes[second..]);
            prop_assert_eq!(sum.checksum(), checksum(&bytes));
        }

        #[test]
        fn a_wrong_checksum_is_told_the_right_one(
            mut bytes in proptest::collection::vec(any::<u8>(), 4..100),
            wrong in any::<u16>(),
        ) {
            bytes[0] = 1; // A sum of nothing but zeros has two right checksums.
            bytes[2..4].fill(0);
            let right = checksum(&bytes);
            bytes[2..4].copy_from_slice(&wrong.to_be_bytes());
            let expected = if wrong == right {
                Status::Good
            } else {
                Status::Bad { expected: right }
            };
            prop_assert_eq!(Status::judge(Sum::new().bytes(&bytes), wrong), expected);
        }
    }
}
