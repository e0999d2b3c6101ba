//! What a request carries after its header, and what of it came back changed.
//!
//! Pure. The payload of a reply is looked at for this alone: it is never
//! believed for a time, a length or a target.

use crate::event::EchoWrongByte;
use crate::ping::wire;

/// `bytes` bytes that repeat `pattern`, or count where there is none.
pub(in crate::ping) fn payload(pattern: &[u8], bytes: usize) -> Vec<u8> {
    if pattern.is_empty() {
        return wire::counting_payload(bytes);
    }
    pattern.iter().copied().cycle().take(bytes).collect()
}

/// The first byte of `received` that differs from what was sent there.
pub(in crate::ping) fn first_wrong_byte(sent: &[u8], received: &[u8]) -> Option<EchoWrongByte> {
    let mut pairs = sent.iter().zip(received).enumerate();
    pairs.find_map(|(index, (&sent, &received))| {
        (sent != received).then_some(EchoWrongByte {
            index,
            sent,
            received,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_repeats_and_is_cut() {
        assert_eq!(payload(&[0xab, 0xcd], 5), [0xab, 0xcd, 0xab, 0xcd, 0xab]);
        assert_eq!(payload(&[], 3), [0, 1, 2]);
    }

    #[test]
    fn the_first_changed_byte_is_found() {
        let wrong = EchoWrongByte {
            index: 2,
            sent: 2,
            received: 9,
        };
        assert_eq!(first_wrong_byte(&[0, 1, 2, 3], &[0, 1, 9, 8]), Some(wrong));
        assert_eq!(first_wrong_byte(&[0, 1, 2], &[0, 1]), None);
    }
}
