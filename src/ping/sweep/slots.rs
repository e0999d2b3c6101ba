//! The requests that a sweep can tell apart by their tokens: token → target,
//! index, send time.
//!
//! A ring as wide as the sockets' identifiers allow, 16 bytes a request, and
//! untouched memory where it is not used. Pure.

use crate::socket::icmp::Token;

const TARGET_BITS: u32 = 24;
const INDEX_BITS: u32 = 32;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    Free,
    /// Handed out by the core and not yet to the kernel.
    Prepared,
    /// Sent; a reply is waited for.
    UnderWay,
    /// Answered.
    Answered,
    /// Its time was over before a reply came.
    Over,
    /// It failed, by an error from the path or the kernel.
    Failed,
}

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) target: u32,
    pub(super) index: u32,
    pub(super) state: State,
    /// When it was sent, in nanoseconds since the start.
    pub(super) sent: u64,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Slots {
    ring: Vec<[u64; 2]>,
}

impl Slots {
    /// A ring that tells `window` requests apart, at most 2^32.
    pub(super) fn new(window: u64) -> Self {
        let width = usize::try_from(window.clamp(1, 1 << 32)).unwrap_or(1 << 16);
        // Zeroed by the kernel a page at a time, when it is first used.
        Self {
            ring: vec![[0; 2]; width],
        }
    }

    /// The token of the request with this number.
    pub(super) fn token(&self, number: u64) -> Token {
        let place = number % self.ring.len() as u64;
        Token(u32::try_from(place).unwrap_or_default())
    }

    pub(super) fn read(&self, token: Token) -> Slot {
        let [sent, rest] = self.ring.get(place(token)).copied().unwrap_or_default();
        let part = |from: u32, bits: u32| {
            let low = (rest >> from) & ((1 << bits) - 1);
            u32::try_from(low).unwrap_or_default()
        };
        Slot {
            sent,
            target: part(0, TARGET_BITS),
            index: part(TARGET_BITS, INDEX_BITS),
            state: match rest >> (TARGET_BITS + INDEX_BITS) {
                1 => State::Prepared,
                2 => State::UnderWay,
                3 => State::Answered,
                4 => State::Over,
                5 => State::Failed,
                _ => State::Free,
            },
        }
    }

    pub(super) fn write(&mut self, token: Token, slot: Slot) {
        let state = match slot.state {
            State::Free => 0,
            State::Prepared => 1,
            State::UnderWay => 2,
            State::Answered => 3,
            State::Over => 4,
            State::Failed => 5,
        };
        if let Some(words) = self.ring.get_mut(place(token)) {
            let numbers = u64::from(slot.target) | u64::from(slot.index) << TARGET_BITS;
            *words = [slot.sent, numbers | state << (TARGET_BITS + INDEX_BITS)];
        }
    }

    /// Whether the request with this number would take the place of one that is
    /// still under way.
    pub(super) fn is_taken(&self, number: u64) -> bool {
        let state = self.read(self.token(number)).state;
        matches!(state, State::Prepared | State::UnderWay)
    }
}

fn place(token: Token) -> usize {
    usize::try_from(token.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [State; 6] = [
        State::Free,
        State::Prepared,
        State::UnderWay,
        State::Answered,
        State::Over,
        State::Failed,
    ];

    proptest! {
        #[test]
        fn what_is_written_is_read(target in 0..1_u32 << 24, index: u32, sent: u64, state in 0..6_usize, number: u64) {
            let mut slots = Slots::new(1 << 10);
            let slot = Slot { target, index, sent, state: STATES[state] };
            let token = slots.token(number);
            slots.write(token, slot);
            prop_assert_eq!(slots.read(token), slot);
            prop_assert_eq!(slots.read(slots.token(number + 1)).state, State::Free);
            prop_assert_eq!(slots.token(number), slots.token(number + (1 << 10)));
        }
    }

    #[test]
    fn tokens_beyond_the_ring_are_nothing() {
        let mut slots = Slots::new(4);
        let slot = Slot {
            state: State::UnderWay,
            ..slots.read(Token(9))
        };
        assert_eq!(slot.sent, 0);
        slots.write(Token(9), slot);
        assert_eq!(slots.read(Token(9)).state, State::Free);
    }
}
