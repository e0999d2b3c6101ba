//! Decimal numbers with a unit, read and written without rounding: `1.5s`,
//! `100`, `0.1%`.
//!
//! Knows no unit of its own. Pure.

/// A number that was read: `digits · 10^-places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u128,
    places: u32,
}

/// More than any quantity has, and few enough that nothing overflows.
const MOST_DIGITS: usize = 24;

impl Decimal {
    /// The number that `text` begins with, and what follows it. `None` where it
    /// begins with none, or with one of more digits than any quantity has.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: String = [whole, fraction].concat();
        if digits.is_empty() || digits.len() > MOST_DIGITS || fraction.contains('.') {
            return None;
        }
        let number = Self {
            digits: digits.parse().ok()?,
            places: u32::try_from(fraction.len()).ok()?,
        };
        Some((number, unit))
    }

    /// The number times `scale / divisor`, rounded to the nearest whole one.
    /// `None` where it does not fit.
    pub(super) fn scaled(self, scale: u64, divisor: u64) -> Option<u64> {
        let numerator = self.digits.checked_mul(scale.into())?;
        let denominator = 10_u128
            .checked_pow(self.places)?
            .checked_mul(divisor.into())?;
        let rounded = numerator.checked_add(denominator / 2)? / denominator;
        u64::try_from(rounded).ok()
    }
}

/// `value` in the largest of `units` that it reaches, exact: `1.5s`. The units
/// descend, each a power of ten and a name, and the last one is 1.
pub(super) fn written(value: u64, units: &[(u64, &str)]) -> String {
    let fitting = units.iter().find(|(scale, _)| value >= *scale);
    let Some((scale, name)) = fitting.or(units.last()) else {
        return value.to_string();
    };
    let (whole, rest) = (value / scale, value % scale);
    if rest == 0 {
        return format!("{whole}{name}");
    }
    let places = scale.ilog10() as usize;
    let fraction = format!("{rest:0places$}");
    format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_their_unit_begins() {
        let split = |text| Decimal::split(text).map(|(number, unit)| (number.scaled(10, 1), unit));
        assert_eq!(split("1.5s"), Some((Some(15), "s")));
        assert_eq!(split(".25"), Some((Some(3), "")));
        assert_eq!(split("7."), Some((Some(70), "")));
        for text in ["", ".", "s", "-1", "1.2.3", "9999999999999999999999999"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
