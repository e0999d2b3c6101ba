//! Damage: one bit flipped, or the tail cut off.
//!
//! The bit may be anywhere in the packet, its IP header included, as netem's
//! may: the checksums are complete by then and do not match any more.

use super::draw::{Draws, Purpose};

/// The bit to flip of a packet of `length` bytes, counted from its first.
pub(super) fn bit(length: usize, draws: Draws) -> u64 {
    let bits = u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(8);
    draws.below(bits, Purpose::CorruptedBit)
}

/// Flips it.
pub(super) fn flip(packet: &mut [u8], bit: u64) {
    let position = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    if let Some(byte) = packet.get_mut(position) {
        *byte ^= 0x80 >> (bit % 8);
    }
}

/// What is left of a packet of `length` bytes whose tail is cut off: at least
/// one byte, and at least one less; none where there is nothing to cut.
pub(super) fn kept(length: usize, draws: Draws) -> Option<usize> {
    let most = u64::try_from(length.checked_sub(1)?).ok()?;
    let kept = 1 + draws.below(most, Purpose::TruncatedLength);
    usize::try_from(kept).ok().filter(|kept| *kept < length)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{bit, flip, kept};
    use crate::impair::draw::Key;

    #[test]
    fn every_bit_may_be_hit() {
        let bits: BTreeSet<u64> = (0..2000)
            .map(|index| bit(20, Key::of(&[1]).packet(index, false)))
            .collect();
        assert_eq!(bits, (0..160).collect());
        let mut packet = [0; 3];
        flip(&mut packet, 0);
        flip(&mut packet, 15);
        flip(&mut packet, 99);
        assert_eq!(packet, [0x80, 0x01, 0x00]);
    }

    #[test]
    fn every_shorter_length_may_be_left() {
        let lengths = |length| -> BTreeSet<Option<usize>> {
            (0..2000)
                .map(|index| kept(length, Key::of(&[1]).packet(index, false)))
                .collect()
        };
        assert_eq!(lengths(10), (1..10).map(Some).collect());
        assert_eq!(lengths(2), [Some(1)].into());
        assert_eq!(lengths(1), [None].into());
        assert_eq!(lengths(0), [None].into());
    }
}
