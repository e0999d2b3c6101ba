//! The arithmetic of round trips: min, avg, max, mdev and the moving average,
//! as `ping(8)` reports them, on nanoseconds in integers; and beyond them
//! percentiles and jitter.
//!
//! Pure. It never looks at a clock and never decides whether a reply counts.

use std::time::Duration;

use crate::event::EchoRoundTrips;
use crate::stats::{Jitter, Latency};

/// Round trips so far, in constant space.
#[derive(Debug, Clone, Default)]
pub struct RoundTrips {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    sum_of_squares: u128,
    /// Eight times the moving average.
    smoothed_by_8: u64,
    jitter: Jitter,
    distribution: Latency,
}

impl RoundTrips {
    /// Takes one round trip into account.
    pub fn add(&mut self, round_trip: Duration) {
        let nanoseconds = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        self.min = if self.count == 0 {
            nanoseconds
        } else {
            self.min.min(nanoseconds)
        };
        self.max = self.max.max(nanoseconds);
        self.sum += u128::from(nanoseconds);
        self.sum_of_squares = self
            .sum_of_squares
            .saturating_add(u128::from(nanoseconds).pow(2));
        self.smoothed_by_8 = if self.count == 0 {
            nanoseconds.saturating_mul(8)
        } else {
            (self.smoothed_by_8 - self.smoothed_by_8 / 8).saturating_add(nanoseconds)
        };
        self.count += 1;
        self.jitter.arrived(round_trip);
        self.distribution.add(round_trip);
    }

    /// The longest so far; zero if there is none.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The moving average, each new value weighing one eighth; zero if there is
    /// none.
    pub fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed_by_8 / 8)
    }

    /// The figures, if there was a round trip.
    pub fn figures(&self) -> Option<EchoRoundTrips> {
        let distribution = self.distribution.summary()?;
        let count = u128::from(self.count);
        let average = self.sum / count;
        // Dividing last keeps the digits; where the square would overflow,
        // they do not matter.
        let variance = match self.sum.checked_mul(self.sum) {
            Some(square) => self.sum_of_squares.saturating_sub(square / count) / count,
            None => (self.sum_of_squares / count).saturating_sub(average * average),
        };
        Some(EchoRoundTrips {
            min: Duration::from_nanos(self.min),
            average: nanoseconds(average),
            max: Duration::from_nanos(self.max),
            deviation: nanoseconds(variance.isqrt()),
            smoothed: self.smoothed(),
            jitter: self.jitter.estimate().unwrap_or_default(),
            p50: distribution.p50,
            p90: distribution.p90,
            p99: distribution.p99,
            percentiles_of: None,
        })
    }
}

fn nanoseconds(value: u128) -> Duration {
    Duration::from_nanos(u64::try_from(value).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(microseconds: &[u64]) -> Option<EchoRoundTrips> {
        let mut round_trips = RoundTrips::default();
        for &value in microseconds {
            round_trips.add(Duration::from_micros(value));
        }
        round_trips.figures()
    }

    #[test]
    fn nothing_measured_gives_no_figures() {
        assert_eq!(of(&[]), None);
    }

    /// Figures that iputils printed for round trips it printed.
    #[test]
    fn agrees_with_iputils() {
        for (values, min, average, max, deviation) in [
            (&[14][..], 14, 14, 14, 0),
            (&[21, 38][..], 21, 29, 38, 8),
            (&[22, 41][..], 22, 31, 41, 9),
            (&[13, 10][..], 10, 11, 13, 1),
            (&[10, 4, 3][..], 3, 5, 10, 3),
        ] {
            let figures = of(values).unwrap();
            assert_eq!(figures.min.as_micros(), min, "{values:?}");
            assert_eq!(figures.average.as_micros(), average, "{values:?}");
            assert_eq!(figures.max.as_micros(), max, "{values:?}");
            assert_eq!(figures.deviation.as_micros(), deviation, "{values:?}");
        }
    }

    #[test]
    fn the_moving_average_weighs_a_new_value_by_one_eighth() {
        let figures = of(&[800, 1600]).unwrap();
        assert_eq!(figures.smoothed, Duration::from_micros(900));
    }

    proptest! {
        #[test]
        fn the_average_lies_between_the_extremes(values in proptest::collection::vec(any::<u32>(), 1..200)) {
            let values: Vec<u64> = values.into_iter().map(u64::from).collect();
            let figures = of(&values).unwrap();
            prop_assert!(figures.min <= figures.average && figures.average <= figures.max);
            prop_assert!(figures.deviation <= figures.max);
        }
    }
}
