//! Interarrival jitter as RFC 3550 section 6.4.1 estimates it.
//!
//! Pure: transit times in the order of arrival.

use std::time::Duration;

/// A running estimate: a sixteenth of each new difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jitter {
    last: Option<Duration>,
    nanoseconds: f64,
}

impl Jitter {
    /// A message arrived that was under way for so long.
    pub fn arrived(&mut self, transit: Duration) {
        if let Some(last) = self.last.replace(transit) {
            #[expect(clippy::cast_precision_loss, reason = "exact below three months")]
            let difference = transit.abs_diff(last).as_nanos() as f64;
            self.nanoseconds += (difference - self.nanoseconds) / 16.0;
        }
    }

    /// The estimate; none before two arrived.
    pub fn estimate(&self) -> Option<Duration> {
        self.last?;
        Some(Duration::from_secs_f64(self.nanoseconds / 1e9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recurrence of the standard, by hand, in microseconds: 0 + 16/16, then
    /// 1 + (0 - 1)/16, rounded to nanoseconds.
    #[test]
    fn each_difference_weighs_a_sixteenth() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.estimate(), None);
        let estimates = [100, 116, 116].map(|micros| {
            jitter.arrived(Duration::from_micros(micros));
            jitter.estimate().map(|jitter| jitter.as_nanos())
        });
        assert_eq!(estimates, [Some(0), Some(1000), Some(938)]);
    }
}
