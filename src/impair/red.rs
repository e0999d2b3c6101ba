//! Random early detection: drops on arrival, the likelier the longer the queue
//! is on average.
//!
//! S. Floyd and V. Jacobson, "Random Early Detection Gateways for Congestion
//! Avoidance", 1993, sections IV and VII; tc-red(8). Counted in bytes.

use std::time::Duration;

use crate::units::{ByteSize, Probability};

/// The weight of the newest length in the average (Floyd 1993, section VI).
const WEIGHT: f64 = 0.002;

/// The state of the detector.
#[derive(Debug)]
pub(super) struct Red {
    min: f64,
    max: f64,
    probability: f64,
    average: f64,
    /// Packets let through since the last drop; none while below `min`.
    count: Option<u32>,
    idle_since: Option<Duration>,
}

impl Red {
    /// A detector that has seen nothing.
    pub(super) fn new(min: ByteSize, max: ByteSize, probability: Probability) -> Self {
        Self {
            min: exact(min.0),
            max: exact(max.0),
            probability: probability.value(),
            average: 0.0,
            count: None,
            idle_since: None,
        }
    }

    /// Remembers that the queue is empty and the server idle since `now`.
    pub(super) fn idle(&mut self, now: Duration) {
        self.idle_since.get_or_insert(now);
    }

    /// Whether a packet that arrives at `now` and finds `waiting` bytes is
    /// refused, by `draw` in [0, 1). `small` is the time a typical packet takes
    /// to be served: an idle queue is taken for one that had served such.
    pub(super) fn refuses(
        &mut self,
        now: Duration,
        waiting: u64,
        small: Duration,
        draw: f64,
    ) -> bool {
        if let Some(since) = self.idle_since.take() {
            let missed = now.saturating_sub(since).as_secs_f64() / small.as_secs_f64().max(1e-9);
            self.average *= (1.0 - WEIGHT).powf(missed);
        }
        self.average += WEIGHT * (exact(waiting) - self.average);
        if self.average < self.min {
            self.count = None;
            return false;
        }
        if self.average >= self.max {
            self.count = Some(0);
            return true;
        }
        let count = self.count.map_or(0, |count| count.saturating_add(1));
        let share = self.probability * (self.average - self.min) / (self.max - self.min);
        // Drops are then evenly apart: any distance up to 1/share is as likely.
        let room = 1.0 - f64::from(count) * share;
        let refuses = room <= 0.0 || draw < share / room;
        self.count = Some(if refuses { 0 } else { count });
        refuses
    }
}

/// Queues are shorter than 4 GiB.
fn exact(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Red;
    use crate::units::{ByteSize, Probability};

    const MS: Duration = Duration::from_millis(1);

    fn red(average: f64) -> Red {
        let tenth = Probability::new(0.1).unwrap_or_default();
        let mut red = Red::new(ByteSize(10_000), ByteSize(30_000), tenth);
        red.average = average;
        red
    }

    #[test]
    fn drops_are_evenly_apart() {
        // At half the way from min to max the share is 1/20, and the distance
        // between drops evenly within 1..=20: the nth is refused where the draw
        // is below 1/(20 - n).
        let mut red = red(20_000.0);
        let mut refuses = |draw| red.refuses(MS, 20_000, MS, draw);
        assert!(!refuses(0.051), "the first, above 1/20");
        for n in 1_u32..19 {
            assert!(!refuses(1.0 / f64::from(20 - n) + 0.001), "{n}");
        }
        assert!(refuses(0.999_999), "the twentieth for certain");
        assert!(refuses(0.052), "the first after it, below 1/19");
    }

    #[test]
    fn the_average_decides() {
        assert!(!red(9_000.0).refuses(MS, 9_000, MS, 0.0));
        assert!(red(31_000.0).refuses(MS, 31_000, MS, 0.999));
    }

    #[test]
    fn an_idle_queue_is_taken_for_one_that_served_small_packets() {
        let mut red = red(20_000.0);
        red.idle(100 * MS);
        red.idle(900 * MS);
        red.refuses(1100 * MS, 0, MS, 0.9);
        // A thousand packets, and the one that arrives.
        let expected = 20_000.0 * 0.998_f64.powi(1001);
        assert!((red.average - expected).abs() < 1e-6, "{}", red.average);
    }
}
