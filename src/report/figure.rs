//! Figures as people read them: counts in groups of three digits, shares in
//! percent, durations and rates with three significant digits.
//!
//! Pure text; knows no layout.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 packet`, `1,234 packets`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {thing}{s}", grouped(count))
}

/// A share in percent: `100 %`, `12.3 %`, `0.37 %`. What is not nothing never
/// reads as nothing, nor what is not all as all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if part == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    // In millionths, rounded.
    let share = (u128::from(part) * 1_000_000 + u128::from(whole) / 2) / u128::from(whole);
    match share {
        0..100 => "<0.01 %".to_owned(),
        100..10_000 => {
            let share = (share + 50) / 100;
            format!("{}.{:02} %", share / 100, share % 100)
        }
        999_500.. => ">99.9 %".to_owned(),
        _ => {
            let share = (share + 500) / 1000;
            format!("{}.{} %", share / 10, share % 10)
        }
    }
}

/// A duration with three significant digits: `87.3 µs`, `1.20 ms`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        _ if seconds >= 1.0 => (seconds, "s"),
        _ if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    format!("{} {unit}", significant(value))
}

/// So many of `unit` in a second, with three significant digits: `105 kpkt/s`,
/// `1.20 Gbit/s`.
pub(super) fn rate(count: u64, over: Duration, unit: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64 / over.as_secs_f64().max(1e-9);
    let (value, prefix) = match value {
        _ if value >= 999.5e6 => (value / 1e9, "G"),
        _ if value >= 999.5e3 => (value / 1e6, "M"),
        _ if value >= 999.5 => (value / 1e3, "k"),
        _ => return format!("{value:.0} {unit}/s"),
    };
    format!("{} {prefix}{unit}/s", significant(value))
}

fn significant(value: f64) -> String {
    let digits = match value {
        _ if value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(count), text);
        }
        assert_eq!(counted(1, "packet"), "1 packet");
        assert_eq!(counted(1000, "packet"), "1,000 packets");
    }

    #[test]
    fn what_is_not_nothing_does_not_read_as_nothing() {
        for (part, whole, text) in [
            (0, 0, "0 %"),
            (0, 5, "0 %"),
            (5, 5, "100 %"),
            (1, 1_000_000, "<0.01 %"),
            (37, 10_000, "0.37 %"),
            (1, 100, "1.0 %"),
            (123, 1000, "12.3 %"),
            (999_999, 1_000_000, ">99.9 %"),
        ] {
            assert_eq!(percent(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn durations_have_three_significant_digits() {
        for (nanos, text) in [
            (0, "0.00 µs"),
            (1_234, "1.23 µs"),
            (87_300, "87.3 µs"),
            (456_000, "456 µs"),
            (1_200_000, "1.20 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn rates_have_three_significant_digits() {
        let second = Duration::from_secs(1);
        for (count, text) in [
            (0, "0 pkt/s"),
            (999, "999 pkt/s"),
            (1000, "1.00 kpkt/s"),
            (105_000, "105 kpkt/s"),
            (1_200_000_000, "1.20 Gpkt/s"),
        ] {
            assert_eq!(rate(count, second, "pkt"), text);
        }
        assert_eq!(rate(5, Duration::from_millis(500), "bit"), "10 bit/s");
    }
}
