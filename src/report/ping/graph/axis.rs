//! Round numbers for an axis of round trips.
//!
//! Pure arithmetic; knows no characters.

use std::time::Duration;

/// From its bottom to its top in nanoseconds, with marks between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    low: u64,
    high: u64,
    step: u64,
}

/// What lies this close to the rest is seen better without the zero.
const CLOSE: u64 = 2;

impl Axis {
    /// An axis over all times from `min` to `max`, with at most `marks` steps.
    pub(super) fn over(min: Duration, max: Duration, marks: u64) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
        let (min, max) = (nanoseconds(min), nanoseconds(max).max(1));
        // A span that is next to nothing would be all noise.
        let is_close = min.saturating_mul(CLOSE) > max && max - min > max / 50;
        let low = if is_close { min } else { 0 };
        let step = round_up((max - low).div_ceil(marks.max(1)));
        let low = low / step * step;
        let high = (max / step + 1) * step;
        Self { low, high, step }
    }

    /// The rows from the top at which so many rows have a mark, with its time.
    pub(super) fn marks(self, rows: u16) -> Vec<(u16, Duration)> {
        let steps = (self.high - self.low) / self.step;
        let times = (0..=steps).map(|number| Duration::from_nanos(self.low + number * self.step));
        times.map(|time| (self.row(time, rows), time)).collect()
    }

    /// The row from the top that this time is in.
    pub(super) fn row(self, time: Duration, rows: u16) -> u16 {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let above_low = nanoseconds.clamp(self.low, self.high) - self.low;
        let last = u64::from(rows.saturating_sub(1));
        let span = u128::from(self.high - self.low);
        let row = (u128::from(above_low) * u128::from(last) + span / 2) / span;
        let from_bottom = u16::try_from(row)
            .unwrap_or(u16::MAX)
            .min(rows.saturating_sub(1));
        rows.saturating_sub(1) - from_bottom
    }
}

/// The next of 1, 2, 5, 10, 20, 50, ….
fn round_up(value: u64) -> u64 {
    let decades = (0..19).map(|power| 10_u64.pow(power));
    let mut rounds = decades.flat_map(|decade| [decade, decade * 2, decade.saturating_mul(5)]);
    rounds.find(|round| *round >= value).unwrap_or(u64::MAX / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_axis_is_round_and_begins_at_zero_unless_all_is_close() {
        let labels = |min, max| {
            let marks = Axis::over(MS * min, MS * max, 4).marks(13);
            marks
                .into_iter()
                .map(|(row, time)| (row, time.as_millis()))
                .collect::<Vec<_>>()
        };
        assert_eq!(labels(1, 19), [(12, 0), (9, 5), (6, 10), (3, 15), (0, 20)]);
        assert_eq!(labels(20, 30), [(12, 20), (8, 25), (4, 30), (0, 35)]);
    }

    proptest! {
        #[test]
        fn every_time_has_a_row(a in any::<u64>(), b in any::<u64>(), rows in 1..200_u16, marks in 0..20_u64) {
            let [a, b] = [a, b].map(|nanoseconds| Duration::from_nanos(nanoseconds / 8));
            let axis = Axis::over(a.min(b), a.max(b), marks);
            for time in [a, b, Duration::ZERO, Duration::MAX] {
                prop_assert!(axis.row(time, rows) < rows);
            }
            prop_assert!(axis.row(a.max(b), rows) <= axis.row(a.min(b), rows));
        }
    }
}
