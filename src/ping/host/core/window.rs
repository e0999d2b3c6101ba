//! The latest probes, each with when it went and what became of it: a ring that
//! knows a probe by its number or by its token.
//!
//! Pure. Tokens come round again; a probe whose token was given to a later one
//! is forgotten.

use std::collections::VecDeque;

use crate::socket::icmp::Token;

/// A probe that was sent, in as little as there is to know of a million.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// When it was handed to the kernel, in nanoseconds since the start.
    pub(super) at: u64,
    /// How much later it left, in nanoseconds, as far as is known.
    pub(super) departure: u32,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Answered,
    Failed,
}

/// The latest probes, the oldest first.
#[derive(Debug)]
pub(super) struct Window {
    sent: VecDeque<Sent>,
    /// How many are told apart by their tokens, and so remembered.
    width: u64,
    /// The newest one's number, from 1,
    last: u64,
    /// and its token.
    latest: u64,
}

impl Window {
    /// Tokens tell `width` probes apart; of a run of `count`, all are remembered
    /// if possible.
    pub(super) fn new(width: u64, count: Option<u64>) -> Self {
        let width = width.max(1);
        let most = count.unwrap_or(u64::MAX).min(width);
        Self {
            // All at once, so that a flood does not stop to move house; memory
            // that is not written to costs nothing.
            sent: VecDeque::with_capacity(usize::try_from(most).unwrap_or_default()),
            width,
            last: 0,
            latest: 0,
        }
    }

    /// Adds a probe that goes `at` so many nanoseconds since the start.
    pub(super) fn push(&mut self, at: u64) {
        if self.sent.len() as u64 == self.width {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            at,
            departure: 0,
            fate: Fate::Open,
        });
        self.last += 1;
        self.latest += 1;
        if self.latest == self.width {
            self.latest = 0;
        }
    }

    /// Forgets the newest one, which was not sent after all; whether there is
    /// one.
    pub(super) fn take_back(&mut self) -> bool {
        let is_there = self.sent.pop_back().is_some();
        if is_there {
            self.last -= 1;
            self.latest = self.latest.checked_sub(1).unwrap_or(self.width - 1);
        }
        is_there
    }

    pub(super) fn newest(&self) -> Option<&Sent> {
        self.sent.back()
    }

    pub(super) fn latest_first(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().rev()
    }

    /// Each with its number.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Sent)> {
        let before = self.last - self.sent.len() as u64;
        (before + 1..).zip(&self.sent)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// The newest one's token.
    #[expect(clippy::cast_possible_truncation, reason = "a token has 32 bits")]
    pub(super) fn latest_token(&self) -> Token {
        Token(self.latest as u32)
    }

    /// The latest probe with this token, if it is remembered.
    pub(super) fn number_of(&self, token: Token) -> Option<u64> {
        let token = u64::from(token.0);
        let age = match self.latest.checked_sub(token) {
            Some(age) => age,
            None => (self.latest + self.width).checked_sub(token)?,
        };
        (age < self.sent.len() as u64).then(|| self.last - age)
    }

    /// The probe with this number, if it is remembered.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Sent> {
        let age = usize::try_from(self.last.checked_sub(number)?).ok()?;
        let index = self.sent.len().checked_sub(age + 1)?;
        self.sent.get_mut(index)
    }
}
