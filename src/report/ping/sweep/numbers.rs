//! Numbers as `fping(8)` prints them.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

/// A time in milliseconds with three significant digits.
pub(super) fn milliseconds(time: Duration) -> Milliseconds {
    Milliseconds(time.as_nanos())
}

/// In nanoseconds.
pub(super) struct Milliseconds(u128);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (decimals, unit) = match self.0 {
            below if below < 1_000_000 => (3, 1_000),
            below if below < 10_000_000 => (2, 10_000),
            below if below < 100_000_000 => (1, 100_000),
            _ => return write!(f, "{}", (self.0 + 500_000) / 1_000_000),
        };
        let rounded = (self.0 + unit / 2) / unit;
        let one = 1_000_000 / unit;
        write!(f, "{}.{:0decimals$}", rounded / one, rounded % one)
    }
}

/// The time of day, UTC.
pub(super) struct TimeOfDay(pub(super) Duration);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() % 86_400;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As fping printed them over a link with such delays.
    #[test]
    fn times_have_three_digits() {
        for (micros, text) in [
            (0, "0.000"),
            (28, "0.028"),
            (999, "0.999"),
            (9_999, "10.00"),
            (160, "0.160"),
            (3_660, "3.66"),
            (46_600, "46.6"),
            (221_000, "221"),
            (1_500_400, "1500"),
        ] {
            assert_eq!(
                milliseconds(Duration::from_micros(micros)).to_string(),
                text
            );
        }
    }

    #[test]
    fn the_time_of_day_is_utc() {
        let time = Duration::from_secs(1_795_223_213);
        assert_eq!(TimeOfDay(time).to_string(), "01:06:53Z");
    }
}
