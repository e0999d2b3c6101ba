//! The message by which delivery is judged: numbered, stamped with its send
//! time, and checksummed.
//!
//! Pure: bytes and values. On a byte stream a message that has not wholly
//! arrived is incomplete, which is not malformed.
//!
//! ```text
//!  0        4          8                16          20        24
//! ├ "SLP1" ─┼─ number ─┼─ sent at, ns ──┼─ length ──┼─ CRC-32 ┼─ filler …
//! ```
//! Numbers are in network byte order; the length counts the whole message; the
//! CRC-32 (IEEE 802.3) is over the message with its own field zero.

use std::time::Duration;

/// The shortest message: a header without filler.
pub const HEADER: usize = 24;

/// The longest message: what an ICMP echo can carry over IPv4. A length beyond
/// it is damage, so that a stream never waits for bytes that nobody sends.
pub const LARGEST: usize = 65_507;

const MAGIC: &[u8; 4] = b"SLP1";
const CHECKSUM: std::ops::Range<usize> = 20..24;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u32,
    /// When it was sent, on the run's clock.
    pub sent_at: Duration,
}

/// What a receiver found at the start of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A whole message of so many bytes.
    Whole(Probe, usize),
    /// The beginning of a message; more bytes are needed.
    Incomplete,
    /// A message whose checksum does not match, of so many bytes.
    Corrupted(usize),
    /// No message begins here.
    Foreign,
}

/// The letters behind the header, as far as the checksum knows them.
#[derive(Debug, Clone)]
pub struct Filler(crc32fast::Hasher);

impl Filler {
    /// Writes the letters behind the header of the message that is `buffer`.
    ///
    /// # Panics
    ///
    /// Where the buffer is shorter than a header.
    pub fn write(buffer: &mut [u8]) -> Self {
        let letters = &mut buffer[HEADER..];
        for (byte, letter) in letters.iter_mut().zip((b'a'..=b'z').cycle()) {
            *byte = letter;
        }
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(letters);
        Self(checksum)
    }
}

impl Probe {
    /// Writes the message into `buffer`, filling it wholly; the buffer's length
    /// is the message's, from [`HEADER`] to [`LARGEST`].
    ///
    /// # Panics
    ///
    /// Where the buffer is shorter than a header.
    pub fn emit(&self, buffer: &mut [u8]) {
        let filler = Filler::write(buffer);
        self.stamp(buffer, &filler);
    }

    /// Writes only the header, over a buffer whose filler is already there: as
    /// little work as possible between reading the clock and sending.
    ///
    /// # Panics
    ///
    /// Where the buffer is shorter than a header.
    pub fn stamp(&self, buffer: &mut [u8], filler: &Filler) {
        let nanoseconds = u64::try_from(self.sent_at.as_nanos()).unwrap_or(u64::MAX);
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        buffer[0..4].copy_from_slice(MAGIC);
        buffer[4..8].copy_from_slice(&self.number.to_be_bytes());
        buffer[8..16].copy_from_slice(&nanoseconds.to_be_bytes());
        buffer[16..20].copy_from_slice(&length.to_be_bytes());
        buffer[CHECKSUM].fill(0);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&buffer[..HEADER]);
        checksum.combine(&filler.0);
        buffer[CHECKSUM].copy_from_slice(&checksum.finalize().to_be_bytes());
    }

    /// The number of the message that begins with `bytes`, where its header
    /// begins: all that a first fragment can tell.
    pub fn number_of(bytes: &[u8]) -> Option<u32> {
        let number = number_at(bytes.strip_prefix(MAGIC)?, 0, 4)?;
        u32::try_from(number).ok()
    }

    /// Reads the message at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Parsed {
        if !bytes.iter().zip(MAGIC).all(|(found, magic)| found == magic) {
            return Parsed::Foreign;
        }
        let (Some(number), Some(seconds), Some(length), Some(stated)) = (
            number_at(bytes, 4, 4),
            number_at(bytes, 8, 8),
            number_at(bytes, 16, 4),
            number_at(bytes, 20, 4),
        ) else {
            return Parsed::Incomplete;
        };
        let Some(length) = usize::try_from(length)
            .ok()
            .filter(|length| (HEADER..=LARGEST).contains(length))
        else {
            return Parsed::Foreign;
        };
        let Some(message) = bytes.get(..length) else {
            return Parsed::Incomplete;
        };
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&message[..CHECKSUM.start]);
        checksum.update(&[0; 4]);
        checksum.update(&message[CHECKSUM.end..]);
        if u64::from(checksum.finalize()) != stated {
            return Parsed::Corrupted(length);
        }
        let probe = Probe {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            sent_at: Duration::from_nanos(seconds),
        };
        Parsed::Whole(probe, length)
    }
}

fn number_at(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let field = bytes.get(offset..offset + length)?;
    Some(
        field
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_damaged_length_never_stalls_the_stream() {
        let mut bytes = [0; HEADER];
        let probe = Probe {
            number: 1,
            sent_at: Duration::ZERO,
        };
        probe.emit(&mut bytes);
        for length in [0, HEADER - 1, LARGEST + 1, 1 << 31] {
            let stated = u32::try_from(length).expect("fits");
            bytes[16..20].copy_from_slice(&stated.to_be_bytes());
            assert_eq!(Probe::parse(&bytes), Parsed::Foreign, "{length}");
        }
    }

    proptest! {
        #[test]
        fn parse_inverts_emit(number: u32, nanoseconds: u64, length in HEADER..2000) {
            let probe = Probe { number, sent_at: Duration::from_nanos(nanoseconds) };
            let mut bytes = vec![0xff; length];
            probe.emit(&mut bytes);
            prop_assert_eq!(Probe::parse(&bytes), Parsed::Whole(probe, length));
            bytes.extend_from_slice(b"the next one");
            prop_assert_eq!(Probe::parse(&bytes), Parsed::Whole(probe, length));
        }

        #[test]
        fn a_prefix_is_incomplete(length in HEADER..200, cut in 0usize..200) {
            let mut bytes = vec![0; length];
            Probe { number: 7, sent_at: Duration::from_secs(1) }.emit(&mut bytes);
            prop_assume!(cut < length);
            prop_assert_eq!(Probe::parse(&bytes[..cut]), Parsed::Incomplete);
        }

        #[test]
        fn a_flipped_bit_never_passes(length in HEADER..200, bit in 0usize..1600) {
            let mut bytes = vec![0; length];
            Probe { number: 7, sent_at: Duration::from_secs(1) }.emit(&mut bytes);
            prop_assume!(bit < length * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(Probe::parse(&bytes), Parsed::Whole(..)));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            Probe::parse(&bytes);
        }
    }
}
