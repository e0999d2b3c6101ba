//! The quantities that a link is described in: a probability, a rate in bits
//! per second, a size in bytes.
//!
//! Newtypes, so that two of them cannot be swapped. How they are written and
//! read follows tc(8), "PARAMETERS". Pure.

use serde::Serialize;

/// A probability between 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Probability(f64);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0.0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1.0);

    /// `None` where `value` is not between 0 and 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// As a number between 0 and 1.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// A rate in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

impl Rate {
    /// How long `bytes` take at this rate; forever at a rate of 0.
    pub fn time_for(self, bytes: u64) -> std::time::Duration {
        if self.0 == 0 {
            return std::time::Duration::MAX;
        }
        let nanoseconds = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.0);
        std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);
