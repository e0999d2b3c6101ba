//! The quantities that a link is described in: a probability, a rate in bits
//! per second, a size in bytes.
//!
//! Newtypes, so that two of them cannot be swapped. How they are written and
//! read follows tc(8), "PARAMETERS"; what is written is read as the same value.
//! Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::decimal::{Decimal, written};

/// Why a text is not the quantity that was asked for, and what its form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number, or followed by something else than `%`.
    #[error("not a percentage; write 5% or 0.1%")]
    NotAProbability,
    /// Below 0 % or above 100 %.
    #[error("not between 0% and 100%")]
    ProbabilityOutOfRange,
    /// No number, or an unknown unit.
    #[error("not a rate; write 10mbit, 512kbit or 1gbit")]
    NotARate,
    /// More than fits.
    #[error("a rate beyond 18000000tbit")]
    RateTooLarge,
    /// No number, or an unknown unit.
    #[error("not a size; write 64kb, 1500b or 1mb")]
    NotASize,
    /// More than fits.
    #[error("a size beyond all memory")]
    SizeTooLarge,
    /// No number, or an unknown unit.
    #[error("not a time; write 20ms, 1.5s or 100us")]
    NotATime,
    /// A bare number where a unit is needed.
    #[error("a time without its unit; write 20ms, 1.5s or 100us")]
    TimeWithoutUnit,
    /// More than a year.
    #[error("a time longer than a year")]
    TimeTooLong,
}

/// A probability between 0 and 1; written in percent.
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
        // Adding 0 makes a negative zero positive, which is written without a sign.
        (0.0..=1.0).contains(&value).then_some(Self(value + 0.0))
    }

    /// As a number between 0 and 1.
    pub fn value(self) -> f64 {
        self.0
    }

    /// How likely the opposite is.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(1.0 - self.0)
    }

    /// Whether it can happen at all.
    pub fn is_possible(self) -> bool {
        self.0 > 0.0
    }
}

/// In percent: `5%`. The decimal point is moved in the text, so that what is
/// written is read as the same number.
impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}", self.0);
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let (two, rest) = fraction.split_at(fraction.len().min(2));
        let percent = format!("{whole}{two:0<2}");
        let percent = match percent.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        match rest {
            "" => f.pad(&format!("{percent}%")),
            rest => f.pad(&format!("{percent}.{rest}%")),
        }
    }
}

/// `5%`; a bare number is in percent too, as tc reads it.
impl FromStr for Probability {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let number = text.strip_suffix('%').unwrap_or(text);
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let is_number = unsigned.contains(|letter: char| letter.is_ascii_digit())
            && unsigned.matches('.').count() <= 1
            && unsigned
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.');
        if !is_number {
            return Err(QuantityError::NotAProbability);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let value: Result<f64, _> = if whole.starts_with('-') {
            // Out of range unless it is nothing, which the percent says too.
            number.parse()
        } else {
            let padded = format!("{whole:0>2}");
            let (hundreds, two) = padded.split_at(padded.len() - 2);
            format!("0{hundreds}.{two}{fraction}").parse()
        };
        let value = value.map_err(|_| QuantityError::NotAProbability)?;
        Self::new(value).ok_or(QuantityError::ProbabilityOutOfRange)
    }
}

/// A rate in bits per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

const RATES: &[(u64, &str)] = &[
    (1_000_000_000_000, "tbit"),
    (1_000_000_000, "gbit"),
    (1_000_000, "mbit"),
    (1_000, "kbit"),
    (1, "bit"),
];

impl Rate {
    /// How long `bytes` take at this rate; forever at a rate of 0.
    pub fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let nanoseconds = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// `10mbit`, in powers of ten.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&written(self.0, RATES))
    }
}

/// As tc(8) reads it, in upper or lower case: `10mbit`, `512kibit`; `1mbps` is
/// a megabyte per second; a bare number is bits per second.
impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = Decimal::split(text).ok_or(QuantityError::NotARate)?;
        let unit = unit.to_ascii_lowercase();
        let (prefix, bits) = match (unit.strip_suffix("bit"), unit.strip_suffix("bps")) {
            (Some(prefix), _) => (prefix, 1),
            (_, Some(prefix)) => (prefix, 8),
            _ if unit.is_empty() => ("", 1),
            _ => return Err(QuantityError::NotARate),
        };
        let scale: u64 = match prefix {
            "" => 1,
            "k" => 1_000,
            "m" => 1_000_000,
            "g" => 1_000_000_000,
            "t" => 1_000_000_000_000,
            "ki" => 1 << 10,
            "mi" => 1 << 20,
            "gi" => 1 << 30,
            "ti" => 1 << 40,
            _ => return Err(QuantityError::NotARate),
        };
        let rate = number.scaled(scale * bits, 1);
        rate.map(Self).ok_or(QuantityError::RateTooLarge)
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// `64kb`, in powers of 1024 where that is exact; always with a unit.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
        let exact = units
            .iter()
            .find(|(scale, _)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        match exact {
            Some((scale, name)) => f.pad(&format!("{}{name}", self.0 / scale)),
            None => f.pad(&format!("{}b", self.0)),
        }
    }
}

/// As tc(8) reads it, in upper or lower case: `64k` and `64kb` are 65,536
/// bytes, `8kbit` is 1024; a bare number is bytes.
impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, unit) = Decimal::split(text).ok_or(QuantityError::NotASize)?;
        let (scale, divisor) = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => (1, 1),
            "k" | "kb" => (1 << 10, 1),
            "m" | "mb" => (1 << 20, 1),
            "g" | "gb" => (1 << 30, 1),
            "kbit" => (1 << 10, 8),
            "mbit" => (1 << 20, 8),
            "gbit" => (1 << 30, 8),
            _ => return Err(QuantityError::NotASize),
        };
        let size = number.scaled(scale, divisor);
        size.map(Self).ok_or(QuantityError::SizeTooLarge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_read_as_tc_reads_them() {
        for (text, bits, written) in [
            ("10mbit", 10_000_000, "10mbit"),
            ("10Mbit", 10_000_000, "10mbit"),
            ("1gbit", 1_000_000_000, "1gbit"),
            ("512kibit", 524_288, "524.288kbit"),
            ("1mbps", 8_000_000, "8mbit"),
            ("1KiBps", 8192, "8.192kbit"),
            ("100bps", 800, "800bit"),
            ("0.5tbit", 500_000_000_000, "500gbit"),
            ("1500", 1500, "1.5kbit"),
            ("0", 0, "0bit"),
        ] {
            assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
            assert_eq!(Rate(bits).to_string(), written);
        }
        for text in [
            "", "fast", "10mb", "10m", "-1mbit", "10 mbit", "5%", "1e3bit",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(QuantityError::NotARate), "{text}");
        }
        let beyond = "99999999999tbit".parse::<Rate>();
        assert_eq!(beyond, Err(QuantityError::RateTooLarge));
    }

    #[test]
    fn sizes_are_read_as_tc_reads_them() {
        for (text, bytes, written) in [
            ("64k", 65_536, "64kb"),
            ("64KB", 65_536, "64kb"),
            ("1mb", 1 << 20, "1mb"),
            ("2G", 2 << 30, "2gb"),
            ("1500", 1500, "1500b"),
            ("1500b", 1500, "1500b"),
            ("8kbit", 1024, "1kb"),
            ("1.5k", 1536, "1536b"),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), written);
        }
        for text in ["", "k", "1t", "-1", "10 kb", "1kib"] {
            assert_eq!(
                text.parse::<ByteSize>(),
                Err(QuantityError::NotASize),
                "{text}"
            );
        }
    }

    #[test]
    fn probabilities_are_percentages() {
        for (text, value, written) in [
            ("5%", 0.05, "5%"),
            ("5", 0.05, "5%"),
            ("0.1%", 0.001, "0.1%"),
            (".5", 0.005, "0.5%"),
            ("100%", 1.0, "100%"),
            ("12.5%", 0.125, "12.5%"),
            ("0", 0.0, "0%"),
            ("-0", 0.0, "0%"),
        ] {
            let probability = Probability::new(value).expect("in range");
            assert_eq!(text.parse(), Ok(probability), "{text}");
            assert_eq!(probability.to_string(), written);
        }
        for text in ["120%", "-1%", "100.1", "-0.5"] {
            let out = text.parse::<Probability>();
            assert_eq!(out, Err(QuantityError::ProbabilityOutOfRange), "{text}");
        }
        for text in [
            "", "%", "five", "5 %", "5%%", "nan", "inf", "1e2", "1.2.3", "-",
        ] {
            let not = text.parse::<Probability>();
            assert_eq!(not, Err(QuantityError::NotAProbability), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rate: u64, size: u64,
            probability in prop_oneof![0.0..=1.0_f64, (0_u32..=10_000).prop_map(|n| f64::from(n) / 10_000.0)],
        ) {
            prop_assert_eq!(Rate(rate).to_string().parse(), Ok(Rate(rate)));
            prop_assert_eq!(ByteSize(size).to_string().parse(), Ok(ByteSize(size)));
            let probability = Probability::new(probability).expect("in range");
            prop_assert_eq!(probability.to_string().parse(), Ok(probability));
        }

        #[test]
        fn nothing_panics(text in "\\PC*|-?[0-9.]{0,30}[a-z%]{0,5}") {
            let _ = text.parse::<Rate>();
            let _ = text.parse::<ByteSize>();
            let _ = text.parse::<Probability>();
        }
    }
}
