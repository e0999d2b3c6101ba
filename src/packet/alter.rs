//! What a wire does to a packet's bytes: one bit flipped, the tail cut off, the
//! ECN field set to Congestion Experienced (RFC 3168 section 5) with IPv4's
//! header checksum kept right (RFC 1624).
//!
//! Owns the bytes' change only; who is changed, and when, is the wire's.

use super::LinkType;

/// What is changed of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alteration {
    /// This bit is flipped, counted from the most significant bit of the first
    /// byte.
    pub flipped_bit: Option<u64>,
    /// Only so many bytes are left.
    pub kept: Option<usize>,
    /// The ECN field says Congestion Experienced.
    pub marked: bool,
}

/// Changes a packet: marks it, then flips the bit, then cuts it. In another
/// order a flipped bit of the ECN field or of IPv4's checksum would come out
/// otherwise; every other packet is the same in any.
pub fn alter(link: LinkType, bytes: &mut Vec<u8>, alteration: Alteration) {
    if alteration.marked && link == LinkType::Raw {
        mark(bytes);
    }
    if let Some(bit) = alteration.flipped_bit {
        let place = usize::try_from(bit / 8).ok();
        if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
            *byte ^= 0x80 >> (bit % 8);
        }
    }
    if let Some(kept) = alteration.kept {
        bytes.truncate(kept);
    }
}

/// Sets Congestion Experienced in an IP header; leaves alone what has none.
fn mark(packet: &mut [u8]) {
    const EXPERIENCED: u8 = 3;
    match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= 20 => {
            let before = word(packet, 0);
            packet[1] |= EXPERIENCED;
            let after = word(packet, 0);
            // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
            let sum = u32::from(!word(packet, 10)) + u32::from(!before) + u32::from(after);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            let [_, _, high, low] = (!sum).to_be_bytes();
            packet[10..12].copy_from_slice(&[high, low]);
        }
        // RFC 8200 section 3: the traffic class lies across two bytes.
        Some(6) if packet.len() >= 40 => packet[1] |= EXPERIENCED << 4,
        _ => {}
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Alteration, LinkType, alter};
    use crate::packet::checksum::checksum;

    const MARKED: Alteration = Alteration {
        flipped_bit: None,
        kept: None,
        marked: true,
    };

    proptest! {
        #[test]
        fn a_marked_ipv4_header_has_the_checksum_of_a_new_one(mut header in any::<[u8; 20]>()) {
            header[0] = 0x45;
            header[10..12].fill(0);
            let right = checksum(&header);
            header[10..12].copy_from_slice(&right.to_be_bytes());
            let mut marked = header.to_vec();
            alter(LinkType::Raw, &mut marked, MARKED);

            header[1] |= 3;
            header[10..12].fill(0);
            let right = checksum(&header);
            header[10..12].copy_from_slice(&right.to_be_bytes());
            prop_assert_eq!(&marked[..], &header[..]);
        }

        #[test]
        fn any_bytes_may_be_altered(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            flipped_bit in proptest::option::of(any::<u64>()),
            kept in proptest::option::of(any::<usize>()),
            marked in any::<bool>(),
        ) {
            let mut altered = bytes.clone();
            let alteration = Alteration { flipped_bit, kept, marked };
            alter(LinkType::Raw, &mut altered, alteration);
            let length = kept.map_or(bytes.len(), |kept| kept.min(bytes.len()));
            prop_assert_eq!(altered.len(), length);
        }
    }

    #[test]
    fn bits_are_counted_from_the_most_significant() {
        let mut bytes = vec![0; 3];
        for bit in [0, 15, 99] {
            let flip = Alteration {
                flipped_bit: Some(bit),
                ..Alteration::default()
            };
            alter(LinkType::Raw, &mut bytes, flip);
        }
        assert_eq!(bytes, [0x80, 0x01, 0x00]);
    }

    #[test]
    fn ipv6_is_marked_across_two_bytes() {
        let mut bytes = vec![0; 40];
        bytes[..2].copy_from_slice(&[0x60, 0x20]);
        alter(LinkType::Raw, &mut bytes, MARKED);
        assert_eq!(bytes[..2], [0x60, 0x30]);
    }
}
