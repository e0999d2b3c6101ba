//! Marking: Congestion Experienced in the IP header of either version, with
//! IPv4's header checksum kept right.
//!
//! RFC 3168 section 5; RFC 1624 for the checksum. Never drops.

/// Congestion Experienced.
const MARKED: u8 = 3;

/// Whether the packet's ends said that they can take a mark instead of a loss
/// (ECT(0), ECT(1), or marked already).
pub(super) fn is_capable(packet: &[u8]) -> bool {
    match packet {
        [version, class, ..] if version >> 4 == 4 && packet.len() >= 20 => class & 3 != 0,
        [version, class, ..] if version >> 4 == 6 && packet.len() >= 40 => class >> 4 & 3 != 0,
        _ => false,
    }
}

/// Sets Congestion Experienced. Does nothing to what has no IP header.
pub(super) fn mark(packet: &mut [u8]) {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) if packet.len() >= 20 => mark_ipv4(packet),
        Some(6) if packet.len() >= 40 => packet[1] |= MARKED << 4,
        _ => {}
    }
}

fn mark_ipv4(packet: &mut [u8]) {
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] |= MARKED;
    let after = u16::from_be_bytes([packet[0], packet[1]]);
    let checksum = u16::from_be_bytes([packet[10], packet[11]]);
    // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [.., high, low] = (!folded).to_be_bytes();
    packet[10..12].copy_from_slice(&[high, low]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_capable, mark};
    use crate::packet::checksum::checksum;

    proptest! {
        #[test]
        fn a_marked_ipv4_header_has_the_checksum_of_a_new_one(mut header in any::<[u8; 20]>()) {
            header[0] = 0x45;
            header[10..12].fill(0);
            let right = checksum(&header);
            header[10..12].copy_from_slice(&right.to_be_bytes());
            let mut expected = header;
            mark(&mut header);

            expected[1] |= 3;
            expected[10..12].fill(0);
            let right = checksum(&expected);
            expected[10..12].copy_from_slice(&right.to_be_bytes());
            prop_assert_eq!(header, expected);
        }

        #[test]
        fn any_bytes_may_be_marked(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = is_capable(&bytes);
            mark(&mut bytes);
        }
    }

    #[test]
    fn ipv6_has_its_bits_across_two_bytes() {
        let mut packet = [0; 40];
        packet[..2].copy_from_slice(&[0x60, 0x00]);
        assert!(!is_capable(&packet));
        packet[1] = 0x20; // ECT(0)
        assert!(is_capable(&packet));
        mark(&mut packet);
        assert_eq!(packet[..2], [0x60, 0x30]);
    }

    #[test]
    fn what_is_cut_off_is_not_capable() {
        assert!(!is_capable(&[0x45, 3]));
        assert!(!is_capable(&[]));
    }
}
