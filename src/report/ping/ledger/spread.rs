//! How long round trips took, counted in bins of a thousandth: any percentile,
//! in memory that grows with how much they differ and not with their number.
//!
//! Pure. Thousands of hosts may each have one, which is why it is sparse.

use std::collections::BTreeMap;
use std::time::Duration;

/// Bins to a factor of e.
const RESOLUTION: f64 = 1000.0;

/// A distribution of round trips.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    bins: BTreeMap<u16, u64>,
    count: u64,
    sum: u128,
    extremes: Option<(Duration, Duration)>,
}

impl Spread {
    /// Takes one round trip into account.
    pub fn add(&mut self, time: Duration) {
        *self.bins.entry(bin(time)).or_default() += 1;
        self.count += 1;
        self.sum += time.as_nanos();
        let (min, max) = self.extremes.unwrap_or((time, time));
        self.extremes = Some((min.min(time), max.max(time)));
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        duration(self.sum)
    }

    /// The shortest and the longest, exactly.
    pub fn extremes(&self) -> Option<(Duration, Duration)> {
        self.extremes
    }

    /// The mean, exactly.
    pub fn average(&self) -> Option<Duration> {
        let count = u128::from(self.count);
        (count > 0).then(|| duration(self.sum / count))
    }

    /// So many in a hundred are no longer; to 0.1 %.
    pub fn percentile(&self, hundredths: u64) -> Option<Duration> {
        let (min, max) = self.extremes?;
        let rank = (self.count * hundredths).div_ceil(100).max(1);
        let mut before = 0;
        let found = self.bins.iter().find(|(_, count)| {
            before += **count;
            before >= rank
        });
        found.map(|(bin, _)| middle(*bin).clamp(min, max))
    }

    /// The bins' times, each with how many are there.
    pub fn counts(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let (min, max) = self.extremes.unwrap_or_default();
        let bins = self.bins.iter();
        bins.map(move |(bin, count)| (middle(*bin).clamp(min, max), *count))
    }
}

fn duration(nanoseconds: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the logarithm of 64 bits is below 45"
)]
fn bin(time: Duration) -> u16 {
    let nanoseconds = time.as_nanos().clamp(1, u128::from(u64::MAX)) as f64;
    (nanoseconds.ln() * RESOLUTION) as u16
}

fn middle(bin: u16) -> Duration {
    let nanoseconds = ((f64::from(bin) + 0.5) / RESOLUTION).exp();
    Duration::from_secs_f64(nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_figures() {
        let spread = Spread::default();
        assert_eq!((spread.average(), spread.percentile(50)), (None, None));
        assert_eq!(spread.counts().count(), 0);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0..10_000_000_000_u64, 1..300),
            hundredths in 1..=100_u64,
        ) {
            let mut spread = Spread::default();
            for &value in &values {
                spread.add(Duration::from_nanos(value));
            }
            values.sort_unstable();
            let rank = (values.len() as u64 * hundredths).div_ceil(100).max(1);
            let exact = values[usize::try_from(rank).unwrap() - 1];
            let found = spread.percentile(hundredths).unwrap().as_nanos();
            let off = u128::from(exact).abs_diff(found);
            prop_assert!(off * 900 <= u128::from(exact).max(900), "{exact} is told as {found}");
            let counted: u64 = spread.counts().map(|(_, count)| count).sum();
            prop_assert_eq!(counted, values.len() as u64);
        }
    }
}
