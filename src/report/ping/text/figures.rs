//! What a run amounts to, in the words of `ping(8)`: the summary, the status
//! line, and how each number is written.
//!
//! Never counts: the figures come as they are.

use std::fmt::Write as _;
use std::time::Duration;

use crate::event::{EchoRoundTrips, EchoSummary};

pub(super) fn summary_text(summary: &EchoSummary, timed: bool) -> String {
    let mut text = format!(
        "\n--- {} ping statistics ---\n{} packets transmitted, {} received",
        summary.target.name, summary.transmitted, summary.received
    );
    for (count, what) in [
        (summary.duplicates, "duplicates"),
        (summary.corrupted, "corrupted"),
        (summary.errors, "errors"),
    ] {
        if count > 0 {
            let _ = write!(text, ", +{count} {what}");
        }
    }
    if let Some(loss) = summary.loss_percent {
        let time = (summary.time + Duration::from_micros(500)).as_millis();
        let _ = write!(text, ", {}% packet loss, time {time}ms", six_digits(loss));
    }
    text.push('\n');
    text.push_str(&figures(summary, timed).join(", "));
    text.push('\n');
    text
}

/// The parts of the last line; none of them leaves it empty, as in iputils.
fn figures(summary: &EchoSummary, timed: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let measured = summary.round_trips.filter(|_| summary.received > 0);
    if let (Some(figures), true) = (measured, timed) {
        let EchoRoundTrips {
            min,
            average,
            max,
            deviation,
            ..
        } = figures;
        let values = [min, average, max, deviation].map(milliseconds).join("/");
        parts.push(format!("rtt min/avg/max/mdev = {values} ms"));
    }
    if summary.pipe > 1 {
        parts.push(format!("pipe {}", summary.pipe));
    }
    if let Some(gap) = summary.gap {
        let smoothed = measured.map_or(Duration::ZERO, |figures| figures.smoothed);
        let values = [gap, smoothed].map(milliseconds).join("/");
        parts.push(format!("ipg/ewma {values} ms"));
    }
    parts
}

pub(super) fn status_line(summary: &EchoSummary, timed: bool) -> String {
    let loss = summary.loss_percent.unwrap_or(0.0).floor();
    let mut line = format!(
        "\r{}/{} packets, {loss:.0}% loss",
        summary.received, summary.transmitted
    );
    if let (Some(figures), true) = (summary.round_trips, timed && summary.received > 0) {
        let EchoRoundTrips {
            min,
            average,
            smoothed,
            max,
            ..
        } = figures;
        let values = [min, average, smoothed, max].map(milliseconds).join("/");
        let _ = write!(line, ", min/avg/ewma/max = {values} ms");
    }
    line.push('\n');
    line
}

/// Milliseconds with the microseconds as decimals, cut, not rounded.
fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// Milliseconds with 3, 2, 1 or no decimals below 1, 10, 100 and above.
pub(super) fn round_trip(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("0.{micros:03}"),
        1_000..9_995 => {
            let hundredths = (micros + 5) / 10;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
        9_995..99_950 => {
            let tenths = (micros + 50) / 100;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => ((micros + 500) / 1000).to_string(),
    }
}

/// Six significant digits without trailing zeros, as C's `%g` prints
/// percentages.
pub(super) fn six_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 {
        let mantissa = without_trailing_zeros(mantissa);
        return format!("{mantissa}e-{:02}", -exponent);
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}
