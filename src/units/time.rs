//! Lengths of time as people type them: `20ms`, `1.5s`, `100us` (tc(8),
//! "PARAMETERS", TIMES).
//!
//! A time is always written with its unit. tc takes a bare number as
//! microseconds; only who speaks tc's language should: [`Time::as_tc`]. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::decimal::{Decimal, written};
use super::quantity::QuantityError;

/// A length of time, in whole nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

const UNITS: &[(u64, &str)] = &[
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

/// The longest time that may be typed: a year, less than what overflows when
/// added to another.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Time {
    /// As tc reads it: a bare number is microseconds.
    pub fn as_tc(text: &str) -> Result<Self, QuantityError> {
        Self::read(text, Some(1_000))
    }

    fn read(text: &str, bare: Option<u64>) -> Result<Self, QuantityError> {
        let (number, unit) = Decimal::split(text).ok_or(QuantityError::NotATime)?;
        let scale = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" => 1_000_000_000,
            "ms" | "msec" | "msecs" => 1_000_000,
            "us" | "usec" | "usecs" | "µs" => 1_000,
            "ns" | "nsec" | "nsecs" => 1,
            // Nothing is nothing in every unit.
            "" if number.scaled(1_000_000_000, 1) == Some(0) => 1,
            "" => bare.ok_or(QuantityError::TimeWithoutUnit)?,
            _ => return Err(QuantityError::NotATime),
        };
        let time = number.scaled(scale, 1).map(Duration::from_nanos);
        time.filter(|time| *time <= LONGEST)
            .map(Self)
            .ok_or(QuantityError::TimeTooLong)
    }
}

impl FromStr for Time {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::read(text, None)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u64::try_from(self.0.as_nanos()) {
            Ok(0) => f.pad("0ms"),
            Ok(nanoseconds) => f.pad(&written(nanoseconds, UNITS)),
            Err(_) => f.pad(&format!("{}s", self.0.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_tc_reads_them() {
        for (text, nanoseconds) in [
            ("20ms", 20_000_000),
            ("1.5s", 1_500_000_000),
            ("100us", 100_000),
            ("100µs", 100_000),
            ("3nsecs", 3),
            ("2Sec", 2_000_000_000),
            ("0", 0),
        ] {
            let time = Time(Duration::from_nanos(nanoseconds));
            assert_eq!(text.parse(), Ok(time), "{text}");
            assert_eq!(Time::as_tc(text), Ok(time), "{text}");
        }
        assert_eq!(Time::as_tc("20").unwrap().to_string(), "20us");
        assert_eq!("20".parse::<Time>(), Err(QuantityError::TimeWithoutUnit));
        for text in ["", "ms", "-1ms", "1m", "1 ms", "soon", "1e3ms"] {
            assert_eq!(text.parse::<Time>(), Err(QuantityError::NotATime), "{text}");
        }
        assert_eq!(
            "400000000s".parse::<Time>(),
            Err(QuantityError::TimeTooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanoseconds in 0..=31_536_000_000_000_000_u64) {
            let time = Time(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn nothing_panics(text in "\\PC*|[0-9.]{0,30}[a-zµ]{0,4}") {
            let _ = (text.parse::<Time>(), Time::as_tc(&text));
        }
    }
}
