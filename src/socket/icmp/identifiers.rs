//! Which probe an echo message belongs to: its identifier and its sequence
//! number, read as one number (RFC 792, RFC 4443 section 4).
//!
//! Pure. Sixteen bits of sequence number are soon used up. A raw socket chooses
//! its identifiers itself and takes a block of them, so that more than 65,536
//! requests can be under way at once; a datagram socket has the one that the
//! kernel gave it.

/// Names one request among all that can be under way: the identifier's place in
/// its block, then the sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u32);

/// A block of identifiers: those that agree with `first` in all but the low
/// `bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifiers {
    first: u16,
    bits: u8,
}

impl Identifiers {
    /// How many low bits of a raw socket's identifiers count requests.
    pub const RAW_BITS: u8 = 4;

    /// The block of 2^`bits` identifiers (at most 2^16) that `any` lies in.
    pub fn around(any: u16, bits: u8) -> Self {
        let bits = bits.min(16);
        let low = u16::try_from((1_u32 << bits) - 1).unwrap_or(u16::MAX);
        Self {
            first: any & !low,
            bits,
        }
    }

    /// The first identifier, which the first requests of a run carry.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The bits in which all identifiers of the block agree.
    pub fn mask(self) -> u16 {
        !u16::try_from((1_u32 << self.bits) - 1).unwrap_or(u16::MAX)
    }

    /// How many requests can be told apart.
    pub fn window(self) -> u64 {
        1 << (16 + u32::from(self.bits))
    }

    /// The token of the request with this number; numbers a whole window apart
    /// share one.
    pub fn token(self, number: u64) -> Token {
        let low = number & (self.window() - 1);
        Token(u32::try_from(low).unwrap_or_default())
    }

    /// Identifier and sequence number of a request.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the number"
    )]
    pub fn on_the_wire(self, token: Token) -> (u16, u16) {
        let place = (token.0 >> 16) as u16;
        (self.first | (place & !self.mask()), token.0 as u16)
    }

    /// The request that a message with this identifier and sequence number
    /// belongs to; `None` if the identifier is not of this block.
    pub fn find(self, identifier: u16, sequence: u16) -> Option<Token> {
        let place = identifier & !self.mask();
        (identifier & self.mask() == self.first)
            .then_some(Token(u32::from(place) << 16 | u32::from(sequence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_out_is_found_again(any: u16, bits in 0..=16_u8, number: u64) {
            let block = Identifiers::around(any, bits);
            let token = block.token(number);
            let (identifier, sequence) = block.on_the_wire(token);
            prop_assert_eq!(block.find(identifier, sequence), Some(token));
            prop_assert_eq!(u64::from(token.0), number % block.window());
        }

        #[test]
        fn foreign_identifiers_are_not_found(any: u16, bits in 0..=15_u8, other: u16, sequence: u16) {
            let block = Identifiers::around(any, bits);
            let within = other & block.mask() == block.first();
            prop_assert_eq!(block.find(other, sequence).is_some(), within);
        }
    }

    #[test]
    fn the_first_requests_carry_the_first_identifier() {
        let block = Identifiers::around(0x1237, Identifiers::RAW_BITS);
        assert_eq!(block.on_the_wire(block.token(1)), (0x1230, 1));
        assert_eq!(block.on_the_wire(block.token(65_537)), (0x1231, 1));
        assert_eq!(block.window(), 1 << 20);
    }
}
